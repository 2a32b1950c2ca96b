"""Everything about one experiment, read when it is opened."""

from collections.abc import Iterable, Mapping

from cockpit.core.curve import Point
from cockpit.core.experiment import Experiment
from cockpit.lab.dynamics import training_dynamics
from cockpit.lab.journal import Journal
from cockpit.lab.lab import Lab
from cockpit.lab.rundir import RunDirectory
from cockpit.ui.live import finished_curve
from cockpit.ui.snapshot import Details

TEXT_BYTES = 1 << 20
"""No train.py is read further than this for a diff."""
LOG_LINES = 12


def read_details(
    lab: Lab, journal: Journal, experiments: Mapping[int, Experiment], number: int
) -> Details:
    """Return what the journal and the run directories know of an experiment."""
    own = experiments[number]
    parent = experiments.get(own.parent) if own.parent is not None else None
    log: list[str] = []
    if own.runs:
        directory = lab.run_directory(number, own.runs[-1].number)
        log = RunDirectory(directory).log_tail(LOG_LINES, 300)
    proposal = journal.proposal(number)
    return Details(
        experiment=own,
        parent=parent,
        proposal=proposal,
        verdicts=tuple(journal.verdicts(number)),
        audits=tuple(journal.audits(number)),
        dynamics=tuple(training_dynamics(lab, own)),
        diff=_diff(lab, own, parent) if parent else (),
        log=tuple(log),
        curve=experiment_curve(lab, own),
        parent_curve=experiment_curve(lab, parent) if parent else (),
        sealed_gain=_sealed_gain(journal, own, parent) if parent else None,
        remarks=tuple(journal.remarks(number)),
        wanted=tuple(w for w in journal.wanted() if w.experiment == number),
        base_values=_values(lab, parent, proposal.constants or {}) if parent else {},
    )


def _sealed_gain(journal: Journal, own: Experiment, parent: Experiment) -> float | None:
    """Return how an experiment's score on the sealed rows differs from its parent's."""
    scores = [
        [
            row.facts.get("sealed_bpb")
            for row in journal.audits(experiment.id)
            if row.outcome == "passed"
        ]
        for experiment in (own, parent)
    ]
    (score, base) = (next((v for v in found if isinstance(v, float)), None) for found in scores)
    return score - base if score is not None and base is not None else None


def experiment_curve(lab: Lab, experiment: Experiment) -> tuple[Point, ...]:
    """Return the curve of the first run that was scored, else of the newest."""
    scored = [run for run in experiment.runs if run.val_bpb is not None]
    chosen = (scored or list(experiment.runs[-1:]))[:1]
    if not chosen:
        return ()
    return finished_curve(lab.run_directory(experiment.id, chosen[0].number))


def _diff(lab: Lab, own: Experiment, parent: Experiment) -> tuple[str, ...]:
    old, new = _train_py(lab, parent), _train_py(lab, own)
    if old is None or new is None:
        return ()
    import difflib  # 5 ms that the first paint need not wait for

    return tuple(difflib.unified_diff(old, new, lineterm="", n=2))[2:]


def _values(lab: Lab, experiment: Experiment, names: Iterable[str]) -> dict[str, object]:
    """Return an experiment's values of these constants, where its text is still there."""
    wanted, lines = set(names), _train_py(lab, experiment)
    if not wanted or lines is None:
        return {}
    from cockpit.core.constants import ConstantsError, read

    try:
        constants = read("\n".join(lines) + "\n")
    except ConstantsError:
        return {}
    return {name: constants[name].value for name in wanted & constants.keys()}


def _train_py(lab: Lab, experiment: Experiment) -> list[str] | None:
    text = text_under_test(lab, experiment)
    return text.splitlines() if text is not None else None


def text_under_test(lab: Lab, experiment: Experiment) -> str | None:
    """Return an experiment's train.py, from the first run that still has it."""
    for run in experiment.runs:
        path = lab.run_directory(experiment.id, run.number) / "train.py"
        try:
            with path.open("rb") as file:
                return file.read(TEXT_BYTES).decode("utf-8", "replace")
        except OSError:
            continue
    return None
