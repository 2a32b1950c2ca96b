"""Experiments of a tag as lines of a report."""

from collections.abc import Iterable, Mapping

from cockpit.core.experiment import Experiment, Proposal
from cockpit.core.failures import raw_error, why_of
from cockpit.core.noise import Noise
from cockpit.core.tree import delta, sound_ids
from cockpit.reports.night import Change


class Describer:
    """Puts experiments of a tag into the lines of a report."""

    def __init__(
        self,
        experiments: Mapping[int, Experiment],
        proposals: Mapping[int, Proposal],
        noise: Noise,
    ) -> None:
        self.experiments = experiments
        self.noise = noise
        self._proposals = proposals
        self._sound = sound_ids(experiments)

    def all(self, chosen: Iterable[Experiment]) -> tuple[Change, ...]:
        """Return a line of each."""
        return tuple(self.one(own) for own in chosen)

    def one(self, own: Experiment) -> Change:
        """Return the line of one."""
        parent = self.experiments.get(own.parent) if own.parent is not None else None
        proposal = self._proposals.get(own.id)
        return Change(
            id=own.id,
            parent=own.parent,
            title=own.title,
            hypothesis=own.hypothesis,
            proposer=own.proposer,
            model=proposal.model if proposal else None,
            status=own.status,
            val_bpb=own.val_bpb,
            runs=len(own.scores),
            raw=delta(self.experiments, own),
            raw_error=raw_error(own, parent, self.noise) if parent else None,
            gain=own.gain,
            gain_error=own.gain_error,
            probability=own.probability,
            sound=own.id in self._sound,
            decided_by=own.decided_by,
            reason=why_of(own),
        )
