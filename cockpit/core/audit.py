"""The audit's numbers: when a score is believed, and how surely a false one is found.

The idea. A score is computed in the process of the script that is scored, so the script could
have made it up. What cannot be made up is what happens afterwards: processes that know nothing
of the run load its checkpoint, are shown rows of tokens and answer with logits; from those, the
auditor computes the losses itself. Four questions are asked of the answers, in this order:

1. *Is the sum right?* val_bpb of the result is the sum of the recorded row losses over the true
   bytes, up to rounding to float32.
2. *Does a row's loss depend on the row alone?* Some rows are shown twice, to two processes, in
   other batches and another order. A model whose rows read each other, that keeps a state from
   one batch to the next or rolls dice gives other losses the second time.
3. *Are the recorded losses those of the checkpoint?* Rows drawn at random, and those that gained
   most over the base, are compared with what was recorded.
4. *Is the future hidden?* Rows are cut at random points and filled up with other text, for a
   process that never sees the whole row. What comes before the cut must be predicted as well as
   before. The last position before the cut, the *seam*, is the sharpest probe: with the whole
   row shown, its target is the very next input; with the cut row, the target appears nowhere.
   The mean fall of its log-probability is an unbiased estimate of what the future is worth to
   the model, in nats a token, and no script can tell which position will be a seam: the whole
   row was answered for before by another process, and the cut row does not hold the target.
   Half of the cuts are drawn evenly and make this estimate. A model that peeks seldom would slip
   through them, so the other half is cut at *suspect* places, where a target that is rare was
   predicted with confidence (`chance_to_find_peek`). An honest model predicts as well there when
   the row is cut, however it came to its confidence, so each suspect seam is judged by itself.

Numeric noise (1.4M parameters, T 256, two kinds of CPU arithmetic). The same code gives the same
logits to the last bit in other batches, batch sizes and behind other tails. Compiled against
uncompiled, a log-probability moves by 5e-3 (root mean square, bfloat16; 5e-7 in float32), a row
by up to 9e-4 nats a token, the mean of 96 rows by 4e-5. A mixture of experts that takes the other
side at a tie moves single tokens by tenths. So the tolerances of questions 2 and 4 grow with
the noise that question 2 has measured on this very model, up to a limit, and those of question 3,
where the recorded side may have been compiled, are fixed.

What is worth falsifying? Two runs of the same code differ by 0.0007 bits a byte, about 0.002
nats a token. A falsification of a tenth of that changes no verdict. The limits on means
lie between the two.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

SCORE_SHARE = 1e-6
"""val_bpb may differ from its own rows by this share: each is rounded to float32, 6e-8."""
ROW_NATS = 0.01
"""A row's loss may differ from the recorded one by this much a token. Ten times the largest
difference seen between compiled and uncompiled bfloat16 rows of 256 tokens."""
MEAN_NATS = 0.001
"""The mean difference over all compared rows: half of what another seed does, and twenty times
what compiling does."""
REPEAT_NATS = 0.02
"""A token's loss may change by this much, in the mean, when its row is shown again. Four times
the noise of bfloat16; noise that large costs a model itself some 2e-4 nats a token."""
GAIN_NATS = 1e-4
"""The future may be worth this much a token before it counts as seen: a twentieth of what
another seed does."""
CHANGE_NATS = 1e-3
"""Log-probabilities before a cut may change by this much in the mean, whatever their sign."""
SEAM_NATS = 0.05
"""A single log-probability at a suspect seam may fall by this much: ten times the noise of
bfloat16. A peek worth its while is worth nats."""
MOST_SEAM_NOISE = 1.0
"""On top comes twice the largest change of a token in the rows shown again, up to this: an expert
that takes the other side at a tie moves tokens by tenths, and a script that rolls dice in order
to widen its own bound gains no more than that."""
SUSPECT_SHARE = 0.1
"""The most suspect share of the positions, of which half of the cuts are drawn."""
ERRORS = 5.0
"""Standard errors of the measured noise that are allowed on top: a false alarm in three million
audits if the noise is normal, and still seldom where it has a few large jumps."""

ANSWER_BYTES = {"cuda": 6 << 30, "mps": 1 << 30, "cpu": 512 << 20}
"""float32 logits of one audit, all in all: some seconds' work for device and auditor."""
LEAST_ROWS, MOST_ROWS = 48, 256
"""All rows of an audit, whatever they weigh."""
BATCH_BYTES = {"cuda": 512 << 20, "mps": 128 << 20, "cpu": 16 << 20}
"""float32 logits of one batch: the size of the shared memory."""
MOST_BATCH = 32


@dataclass(frozen=True, slots=True)
class Plan:
    """How many rows an audit looks at. A function of the setup alone, so that the sealed rows
    are the same for all its experiments."""

    validation: int
    """Validation rows whose recorded losses are compared."""
    sealed: int
    """Sealed rows scored, the first ones of their file."""
    cut: int
    """Rows shown again, cut at a random point and filled up with other text."""
    repeated: int
    """Rows shown again as they are."""
    batch: int
    """Rows asked for at once; two at least, so that rows have neighbours."""


@dataclass(frozen=True, slots=True)
class Gain:
    """What an experiment gained over its base on the same rows."""

    bpb: float
    """Bits per byte; positive is better."""
    error: float
    """Its standard error, from the differences row by row."""


SUSPECT_ERRORS = 5.0
"""Joint standard errors by which the gains on validation and on sealed rows may differ. Both are
unseen text of one corpus: what gains on the first alone has met it before."""


def holds_on_validation_alone(validation: Gain | None, sealed: Gain | None) -> bool:
    """Tell whether a gain is far smaller on rows that no training could have met."""
    if validation is None or sealed is None:
        return False
    error = math.hypot(validation.error, sealed.error)
    return validation.bpb - sealed.bpb > SUSPECT_ERRORS * error


def plan(kind: str, sequence_length: int, vocab_size: int, validation: int, sealed: int) -> Plan:
    """Return the audit's size for a device kind and a setup.

    `validation` and `sealed` are the rows there are. A third of the answers goes to each of
    validation rows, sealed rows and rows shown again.
    """
    row_bytes = 4 * sequence_length * vocab_size
    rows = max(LEAST_ROWS, min(MOST_ROWS, ANSWER_BYTES[kind] // row_bytes))
    compared, scored = min(validation, rows // 3), min(sealed, rows // 3)
    again = min(rows // 3, compared + scored)
    repeated = max(2, again // 8)
    batch = max(2, min(MOST_BATCH, BATCH_BYTES[kind] // row_bytes))
    return Plan(compared, scored, again - repeated, repeated, batch)


def chance_to_find(share: float, drawn: int) -> float:
    """Return how probably a run is found that falsified this share of its rows, noticeably each.

    1 - (1 - share)^drawn. With 32 rows: 99.9 % at a fifth, 81 % at a twentieth, 40 % at 1/64;
    with 85 rows: 99 % at a twentieth, 74 % at 1/64. A small share must be falsified by much to
    move the score, which puts its rows among those that gained most over the base: half of the
    compared rows are taken from there.
    """
    return 1.0 - (1.0 - share) ** drawn


def chance_to_find_peek(share: float, cuts: int) -> float:
    """Return how probably a peek at this share of the positions is found with so many cuts.

    1 - (1 - share)^(cuts / 2) (1 - share / 0.1)^(cuts / 2), the second share 1 at most. With 28
    cuts: 97 % at 2 % of the positions, 80 % at 1 %, 55 % at 0.5 %; with 75 cuts: 99 % at 1 %,
    88 % at 0.5 %. Were all 28 cuts even, it would be 43 %, 25 % and 13 %. It holds where the
    peeked targets are among the most suspect tenth: rare ones, made nearly sure. A peek that
    spreads over common tokens, or helps each of them a little only, is met by the even cuts alone:
    `chance_to_find(share, cuts / 2)`.
    """
    suspect = min(1.0, share / SUSPECT_SHARE)
    even = cuts - cuts // 2
    return 1.0 - (1.0 - share) ** even * (1.0 - suspect) ** (cuts // 2)


def wrong_score(reported: float | None, nats: float, text_bytes: int) -> str | None:
    """Return what is wrong with the reported val_bpb, None where it follows from its rows.

    `nats` is the sum of the recorded row losses, `text_bytes` what the rows' counted targets
    stand for.
    """
    if reported is None:
        return "the result has no finite val_bpb"
    own = bits_per_byte(nats, text_bytes)
    if abs(own - reported) <= SCORE_SHARE * abs(own):
        return None
    return f"val_bpb {reported:.6f} was reported, but the recorded row losses make {own:.6f}"


def not_repeated(first: Sequence[float], second: Sequence[float]) -> str | None:
    """Return what is wrong when tokens' losses changed between two showings of their rows.

    Both in nats, token by token.
    """
    change = mean_change(first, second)
    if change <= REPEAT_NATS:
        return None
    return (
        f"a row's loss does not depend on the row alone: in another batch it moved by"
        f" {change:.3g} nats a token (rows that see each other, a state kept between batches,"
        " or randomness)"
    )


def not_recorded(recorded: Sequence[float], audited: Sequence[float], tokens: int) -> str | None:
    """Return what is wrong when rows' losses are not those that were recorded.

    Both are nats a row of `tokens` tokens.
    """
    apart = [(own - other) / tokens for own, other in zip(audited, recorded, strict=True)]
    mean, worst = fmean(apart), max(apart, key=abs)
    if abs(mean) <= MEAN_NATS and abs(worst) <= ROW_NATS:
        return None
    far = sum(abs(difference) > ROW_NATS for difference in apart)
    return (
        f"the recorded losses are not the checkpoint's: over {len(apart)} rows they differ by"
        f" {mean:+.3g} nats a token ({far} rows by more than {ROW_NATS:g}, at most {worst:+.3g})"
    )


def visible_future(
    seams: Sequence[float],
    before: Sequence[float],
    changes: Sequence[float],
    noise: Sequence[float],
) -> str | None:
    """Return how the future is seen, None where it is hidden.

    `seams` is the fall of the log-probability at the last position before a cut, over the rows
    cut anywhere. Over all cut rows, `before` is the mean fall over all positions before the cut,
    `changes` the mean absolute change there. `noise` is the change of single tokens in
    rows that were shown again whole.
    """
    error = ERRORS * math.sqrt(fmean(change * change for change in noise) / len(seams))
    gain = max(fmean(seams), fmean(before))
    if gain > GAIN_NATS + error:
        return (
            f"the future is visible: tokens are predicted {gain:.3g} nats better when what"
            f" follows is shown ({len(seams)} cuts)"
        )
    usual = 3 * fmean(map(abs, noise))
    seam_change, change = fmean(map(abs, seams)), fmean(changes)
    if seam_change > CHANGE_NATS + usual + error or change > CHANGE_NATS + usual:
        return (
            "the future is visible: predictions before a cut changed by"
            f" {max(seam_change, change):.3g} nats when only later tokens did ({len(seams)} cuts)"
        )
    return None


def peeked(suspects: Sequence[float], noise: Sequence[float]) -> str | None:
    """Return how suspect targets were peeked at, None where they were not.

    `suspects` is the fall of the log-probability at each suspect seam, `noise` as for
    `visible_future`. One-sided: what is predicted worse with the whole row shown gains nothing.
    """
    allowed = SEAM_NATS + min(2 * max(map(abs, noise)), MOST_SEAM_NOISE)
    found = [fall for fall in suspects if fall > allowed]
    if not found:
        return None
    return (
        f"the future is visible: a rare token was predicted {max(found):.3g} nats better where it"
        f" was shown as the next input ({len(found)} of {len(suspects)} suspect cuts)"
    )


def mean_change(first: Sequence[float], second: Sequence[float]) -> float:
    """Return the mean absolute difference."""
    return fmean(abs(own - other) for own, other in zip(first, second, strict=True))


def bits_per_byte(nats: float, text_bytes: int) -> float:
    """Return the score that a sum of losses makes."""
    return nats / math.log(2) / text_bytes


def gain(own: Sequence[float], base: Sequence[float], text_bytes: int) -> Gain | None:
    """Return the gain over the base from the losses of the same rows, in nats.

    None where the rows are not the same ones, or too few to have an error.
    """
    if len(own) != len(base) or len(own) < 2 or text_bytes <= 0:
        return None
    better = [theirs - ours for ours, theirs in zip(own, base, strict=True)]
    mean = fmean(better)
    variance = sum((one - mean) ** 2 for one in better) / (len(better) - 1)
    scale = 1 / math.log(2) / text_bytes
    return Gain(sum(better) * scale, math.sqrt(len(better) * variance) * scale)
