"""Rows as a witness is shown them: whole, or cut and filled up with other text.

Where a row is cut decides what is found. Half of the cuts fall anywhere, which makes their mean
an unbiased estimate. The others fall where the first witness did suspiciously well: behind a
token that is rare and was yet predicted with confidence, as one is that has been peeked at.
No row is cut twice or shown whole beside its cut: the second witness would be told its targets.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cockpit.core.audit import SUSPECT_SHARE
from cockpit.executors.answers import Nats, Tokens

Places = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Shown:
    """Rows as a witness sees them, and what it is asked about them."""

    tokens: Tokens
    """[N, T + 1]; the last one is a target only, and never shown."""
    targets: Tokens
    """[N, T]: what should come next, in the rows as they really are."""
    positions: Places
    """[N]: so many targets of each row are asked for, from its start."""


@dataclass(frozen=True, slots=True)
class Again:
    """Which rows are shown a second time, and where they are cut."""

    rows: Places
    """[N] of the rows shown first, each at most once: those that stay whole, those cut anywhere,
    those cut at a suspect place."""
    cuts: Places
    """[N]: the first position that is filled with other text; T where the row stays whole."""
    whole: int
    """So many stay whole."""
    anywhere: int
    """So many are cut anywhere."""


def whole_rows(rows: Tokens) -> Shown:
    """Rows shown as they are, all of their targets asked for."""
    positions = np.full(len(rows), rows.shape[1] - 1)
    return Shown(rows.copy(), rows[:, 1:].copy(), positions)


def choose_again(
    suspicion: Nats, counted: Nats, repeated: int, cut: int, random: np.random.Generator
) -> Again:
    """Draw `repeated` rows to stay whole and `cut` to be cut, half of these at suspect places.

    `suspicion` and `counted` are [N, T]: how much better a target was predicted than its
    frequency explains, and whether it counts. `repeated + cut` is N at most. The suspect places
    are drawn from what the other draws have left over, so that those stay uniform.
    """
    length = suspicion.shape[1]
    shuffled = random.permutation(len(suspicion))
    by_chance = repeated + (cut + 1) // 2
    anywhere = [_anywhere(counted[row], random) for row in shuffled[repeated:by_chance]]
    left = shuffled[by_chance:]
    rows, suspects = _suspects(suspicion[left], counted[left], cut // 2, random)
    return Again(
        np.concatenate([shuffled[:by_chance], left[rows]]),
        np.array([*[length] * repeated, *anywhere, *suspects], dtype=np.int64),
        repeated,
        by_chance - repeated,
    )


def cut_rows(rows: Tokens, again: Again, vocab_size: int, random: np.random.Generator) -> Shown:
    """The chosen rows, what comes after a cut replaced by another row's text."""
    shown = whole_rows(rows[again.rows])
    length = rows.shape[1] - 1
    for number in range(again.whole, len(again.rows)):
        own, cut = again.rows[number], int(again.cuts[number])
        donor = rows[(own + random.integers(1, len(rows))) % len(rows)]
        # Half the time as after the end of a document: rows begin with one.
        start = int(random.integers(0, cut + 1)) * int(random.integers(0, 2))
        filling = donor[start : start + length - cut]
        shown.tokens[number, cut:length] = filling
        # The input at the cut is another one: the target before it is nowhere to be seen.
        if filling[0] == rows[own, cut]:
            shown.tokens[number, cut] = (rows[own, cut] + 1) % vocab_size
        shown.positions[number] = cut
    return shown


def surprisals(targets: Tokens, vocab_size: int) -> Nats:
    """By token, in nats: -log of its frequency among the targets, each counted once more."""
    counts = np.bincount(targets.ravel(), minlength=vocab_size) + 1
    found: Nats = np.log(counts.sum() / counts)
    return found


def _anywhere(counted: Nats, random: np.random.Generator) -> int:
    """A cut behind which a counted target is hidden, if the row has any."""
    length = len(counted)
    places = np.flatnonzero(counted[: length - 1]) + 1
    return int(random.choice(places if len(places) else np.arange(1, length)))


def _suspects(
    suspicion: Nats, counted: Nats, count: int, random: np.random.Generator
) -> tuple[Places, Places]:
    """Rows and cuts right behind suspect targets, one a row.

    Drawn from the most suspect share of all places; where that lies in too few rows, the next
    most suspect ones follow.
    """
    width = suspicion.shape[1] - 1  # what is hidden by a cut must be an input of the whole row
    scores = np.where(counted[:, :width] > 0, suspicion[:, :width], -np.inf).ravel()
    order = np.argsort(-scores, kind="stable")
    most = max(count, int(SUSPECT_SHARE * np.isfinite(scores).sum()))
    order[:most] = random.permutation(order[:most])
    _, first = np.unique(order // width, return_index=True)
    chosen = order[np.sort(first)[:count]]
    return chosen // width, chosen % width + 1
