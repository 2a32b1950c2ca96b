"""Pure: what a snapshot says of a tag that follows from its experiments."""

from collections.abc import Mapping
from typing import Any

from cockpit.core import tree
from cockpit.core.experiment import Experiment, Status
from cockpit.core.noise import pooled
from cockpit.lab.rows import Tag
from cockpit.ui.tally import ideas_by_status, other_tags, with_verdict


def derived(experiments: Mapping[int, Experiment], tag: Tag | None) -> dict[str, Any]:
    """Return what follows from the experiments of a tag."""
    name = tag.name if tag else ""
    own = [e for e in experiments.values() if e.tag == name]
    counts = ideas_by_status(own)
    best = tree.best(experiments, name)
    sound = frozenset(tree.sound_ids(experiments))
    line = tree.lineage(experiments, best.id) if best else []
    return {
        "counts": counts,
        "ideas": with_verdict(counts),
        "others": other_tags(experiments.values(), name, sound),
        "baseline": tree.baseline(own, name),
        "best": best,
        "best_line": frozenset(e.id for e in line),
        "sound": sound,
        "noise": pooled(e.scores for e in own),
        "awaiting": tuple(e.id for e in own if e.status is Status.BORDERLINE),
    }
