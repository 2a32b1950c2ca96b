"""Pure: what a snapshot says of a tag that follows from its experiments."""

from collections.abc import Mapping
from typing import Any

from cockpit.core import tree
from cockpit.core.awaiting import awaiting, is_a_persons
from cockpit.core.effects import Effects
from cockpit.core.experiment import Experiment, Status
from cockpit.core.queue import in_line
from cockpit.core.reckoning import Reckoning, noise_prior
from cockpit.lab.rows import Tag
from cockpit.ui.tally import ideas_by_status, other_tags, with_verdict


def derived(
    experiments: Mapping[int, Experiment],
    tag: Tag | None,
    setup: Mapping[str, Any] | None = None,
    reapplied: Mapping[int, bool] | None = None,
    kept_at: Mapping[int, float] | None = None,
) -> dict[str, Any]:
    """Return what follows from the experiments of a tag, as the judge reckons too.

    `reapplied` and `kept_at`: see `Reckoning`.
    """
    name, pinned = (tag.name, tag.pinned) if tag else ("", None)
    own = [e for e in experiments.values() if e.tag == name]
    carried = Effects.from_json(tag.options.get("effects")) if tag else None
    known = Reckoning({e.id: e for e in own}, noise_prior(setup), carried, reapplied, kept_at)
    best = base = known.best
    if tag is not None and pinned is not None and pinned in known.experiments:
        base = known.grown_from(pinned, tag.pinned_at)
    counts = ideas_by_status(own)
    sound = frozenset(tree.sound_ids(experiments))
    queued = [e for e in own if e.status is Status.QUEUED]
    asked = [e for e in own if is_a_persons(e)]
    deltas = {e.id: tree.delta(experiments, e) for e in asked}
    line = tree.lineage(experiments, best.id) if best else []
    return {
        "counts": counts,
        "ideas": with_verdict(counts),
        "others": other_tags(experiments.values(), name, sound),
        "baseline": tree.baseline(own, name),
        "best": best,
        "base": base,
        "best_line": frozenset(e.id for e in line),
        "sound": sound,
        "noise": known.noise,
        "awaiting": tuple(e.id for e in awaiting(asked, sound, deltas)),
        "queue": tuple(e.id for e in in_line(queued)),
    }
