"""TPE by ask and tell: what it proposes, and what it makes of failures."""

import random
import time
from collections.abc import Callable
from dataclasses import replace

import optuna
import pytest

from cockpit.core.briefing import Briefing, HistoryEntry
from cockpit.core.constants import read, rewrite
from cockpit.core.experiment import Proposal
from cockpit.proposers.base import ProposerError
from cockpit.proposers.search import MOST_CHANGES, Search

optuna.logging.set_verbosity(optuna.logging.ERROR)

TEXT = """
PRESET = "cpu"
X = 0.5  # first [0.0, 1.0]
Y = 0.5  # second [0.0, 1.0]
DEPTH = 4  # layers [2, 12]
TOKENS = 4096  # a step [2048, 65536, pow2]
RATE = 0.02  # step size [0.005, 0.08, log]
PATTERN = "SL"  # windows [SSSL|SL|L]
COMPILE = False
"""
SMALL = "X = 0.5  # first [0.0, 1.0]\nY = 0.5  # second [0.0, 1.0]\n"
BASELINE = HistoryEntry(0, None, "kept", 2.0, None, "baseline", None)


def briefing(
    history: list[HistoryEntry], text: str = TEXT, seed: int = 1, **more: object
) -> Briefing:
    asked = Briefing("t", 0, text, text, tuple(history), seed=seed)
    return replace(asked, **more)  # type: ignore[arg-type]


def entry(number: int, proposal: Proposal, status: str, score: float | None) -> HistoryEntry:
    return HistoryEntry(number, 0, status, score, proposal.constants, proposal.title, None)


def play(
    rounds: int,
    measure: Callable[[dict[str, float]], float | None],
    text: str = SMALL,
    seed: int = 1,
) -> list[HistoryEntry]:
    """Let a search propose and measure; None from `measure` is a crash."""
    search, history = Search(), [replace(BASELINE, val_bpb=measure({"X": 0.5, "Y": 0.5}))]
    for number in range(1, rounds + 1):
        proposal = search.propose(briefing(history, text, seed))
        score = measure({"X": 0.5, "Y": 0.5} | (proposal.constants or {}))
        status = "discarded" if score is not None else "crashed"
        history.append(entry(number, proposal, status, score))
    return history


def test_a_proposal_moves_few_constants_within_their_ranges() -> None:
    search, history = Search(), [BASELINE]
    for number in range(1, 41):
        proposal = search.propose(briefing(history))
        changes = proposal.constants or {}
        assert 1 <= len(changes) <= MOST_CHANGES
        assert not changes.keys() & {"PRESET", "COMPILE"}
        new = read(rewrite(TEXT, changes))  # the types fit
        assert 2 <= new["DEPTH"].value <= 12  # type: ignore[operator]
        assert new["TOKENS"].value in [2**n for n in range(11, 17)]
        assert 0.005 <= new["RATE"].value <= 0.08  # type: ignore[operator]
        assert new["PATTERN"].value in ("SSSL", "SL", "L")
        for value in changes.values():
            assert isinstance(value, str | int) or float(f"{value:.3g}") == value
        history.append(entry(number, proposal, "discarded", 2.0 + number / 100))


def test_the_title_tells_old_and_new_in_the_order_of_the_text() -> None:
    proposal = Search().propose(briefing([BASELINE]))
    parts = proposal.title.split(", ")
    assert [part.split()[0] for part in parts] == list(proposal.constants or {})
    assert all(part.split()[2] == "→" for part in parts)
    assert proposal.proposer == "search"
    assert "random" in proposal.hypothesis


def test_the_same_seed_and_history_give_the_same_proposal() -> None:
    history = play(14, lambda p: p["X"])
    again = briefing(history, SMALL)
    long_lived = Search()
    for length in range(1, len(history)):
        long_lived.propose(briefing(history[:length], SMALL))
    first = Search().propose(again)
    assert long_lived.propose(again) == first
    assert Search().propose(briefing(history, SMALL, seed=2)) != first


def test_a_search_finds_the_better_region() -> None:
    history = play(60, lambda p: (p["X"] - 0.2) ** 2 + (p["Y"] - 0.8) ** 2)
    late = history[-25:]
    xs = [e.constants["X"] for e in late if e.constants and "X" in e.constants]
    assert min(e.val_bpb or 9.0 for e in history) < 0.02 < (history[0].val_bpb or 0)
    assert abs(sum(xs) / len(xs) - 0.2) < 0.2


def test_crashes_are_told_as_infeasible_and_proposed_less() -> None:
    def measure(point: dict[str, float]) -> float | None:
        return None if point["X"] > 0.55 else 2.0 + (point["Y"] - 0.5) ** 2

    history = play(60, measure, seed=3)
    moved = [e for e in history[1:] if e.constants and "X" in e.constants]
    early = [e.status == "crashed" for e in moved[: len(moved) // 3]]
    late = [e.status == "crashed" for e in moved[-len(moved) // 3 :]]
    assert any(early)
    assert sum(late) / len(late) < 0.5 * max(0.45, sum(early) / len(early))


def test_what_was_stopped_early_counts_as_bad_and_is_proposed_less() -> None:
    from optuna.samplers._tpe.sampler import _split_trials

    search, history, generator = Search(), [BASELINE], random.Random(0)
    for number in range(1, 31):
        change = {"X": round(generator.random(), 3), "Y": round(generator.random(), 3)}
        score = None if change["X"] > 0.5 else 2.0 + change["X"]
        history.append(HistoryEntry(number, 0, "discarded", score, change, "x", None))
    search.propose(briefing(history, SMALL))
    trials = [t for t in search._study.get_trials() if t.state.is_finished()]
    trials = [t for t in trials if t.state is not optuna.trial.TrialState.FAIL]
    pruned = [t for t in trials if t.state is optuna.trial.TrialState.PRUNED]
    assert len(pruned) == sum(e.val_bpb is None for e in history[1:]) > 0
    below, above = _split_trials(search._study, trials, 5)
    assert not {t.number for t in pruned} & {t.number for t in below}
    assert {t.number for t in pruned} <= {t.number for t in above}


def test_crashes_do_not_count_among_the_good_or_the_bad_scores() -> None:
    """What the sampler calls the good region is made of measured ones alone."""
    from optuna.samplers._tpe.sampler import _split_trials

    generator = random.Random(0)
    history = [BASELINE]
    for number in range(1, 61):
        crashed = number % 3 == 0
        change = {"X": round(generator.random(), 3), "Y": round(generator.random(), 3)}
        score = None if crashed else 2.0 + change["X"]
        status = "crashed" if crashed else "discarded"
        history.append(HistoryEntry(number, 0, status, score, change, "x", None))
    search = Search()
    search.propose(briefing(history, SMALL))
    trials = search._study.get_trials(states=(optuna.trial.TrialState.COMPLETE,))
    assert len(trials) == 61
    measured = sorted(t.value for t in trials if t.value is not None and t.value < 9)
    assert len(measured) == 41
    for good in (1, 5, 20):
        below, above = _split_trials(search._study, trials, good)
        assert sorted(t.value for t in below) == measured[:good]
        assert sum(t.value == float("inf") for t in above) == 20


def test_stopped_ones_tell_nothing_but_are_not_proposed_again() -> None:
    proposal = Search().propose(briefing([BASELINE]))
    stopped = [BASELINE, entry(1, proposal, "stopped", None)]
    search = Search()
    assert search.propose(briefing(stopped)).constants != proposal.constants
    assert len(search._told) == 1


def test_what_is_queued_or_running_is_not_proposed_again() -> None:
    history = play(12, lambda p: p["X"])
    search, seen = Search(), {str(e.constants) for e in history}
    for number in range(13, 25):
        proposal = search.propose(briefing(history, SMALL))
        assert str(proposal.constants) not in seen
        seen.add(str(proposal.constants))
        history.append(entry(number, proposal, "running" if number % 2 else "queued", None))


def test_a_small_space_is_searched_to_its_end_and_then_said_to_be_exhausted() -> None:
    text = "A = 'x'  # [x|y|z]\nB = True\n"
    search, history, seen = Search(), [BASELINE], set()
    for number in range(1, 6):
        proposal = search.propose(briefing(history, text))
        seen.add(str(sorted((proposal.constants or {}).items())))
        history.append(entry(number, proposal, "discarded", 2.0))
    assert len(seen) == 5
    with pytest.raises(ProposerError, match="search space exhausted"):
        search.propose(briefing(history, text))


def test_on_a_new_base_changes_are_against_that_base() -> None:
    kept = HistoryEntry(1, 0, "kept", 1.9, {"X": 0.3}, "x", None)
    base_text = rewrite(SMALL, {"X": 0.3})
    asked = Briefing("t", 1, base_text, SMALL, (BASELINE, kept), seed=1)
    for seed in range(20):
        proposal = Search().propose(replace(asked, seed=seed))
        if "X" in (proposal.constants or {}):
            assert proposal.title.startswith("X 0.3 → ")
            break
    else:
        pytest.fail("X never moved")


def test_a_base_that_another_proposer_rewrote_is_searched_where_it_still_fits() -> None:
    rewritten = HistoryEntry(1, 0, "kept", 1.9, None, "a new model", None)
    asked = Briefing("t", 1, "Y = 0.4\nNEW = 3\n", SMALL, (BASELINE, rewritten), seed=1)
    proposal = Search().propose(asked)
    assert list(proposal.constants or {}) == ["Y"]
    with pytest.raises(ProposerError, match="no constant that a search may move"):
        Search().propose(replace(asked, base_train_py="NEW = 3\n"))
    with pytest.raises(ProposerError, match="line 1"):
        Search().propose(replace(asked, base_train_py="NEW = (\n"))


def test_a_restart_replays_3000_experiments_in_seconds() -> None:
    generator = random.Random(0)
    history = [BASELINE] + [
        HistoryEntry(
            n, 0, "crashed" if n % 5 == 0 else "discarded", None if n % 5 == 0 else 2.0 + n / 1e4,
            {"RATE": round(generator.uniform(0.005, 0.08), 6)}, "x", None,
        )
        for n in range(1, 3000)
    ]  # fmt: skip
    search = Search()
    began = time.perf_counter()
    search.propose(briefing(history))
    replay = time.perf_counter() - began
    search.propose(briefing(history))
    print(f"replay and ask {replay:.2f} s, ask {time.perf_counter() - began - replay:.2f} s")
    assert replay < 6.0  # 1 s on an idle core
