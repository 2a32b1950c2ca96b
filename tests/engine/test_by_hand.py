"""A person's hand at every point of an experiment's life: it takes effect, or says why not."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cockpit.core.experiment import Event, Status
from cockpit.lab.repo import TRAIN_PY
from cockpit.waiting import waiting
from tests.engine.hands import TEXT, Hands, wide

KEPT, DISCARDED, BORDERLINE = Status.KEPT, Status.DISCARDED, Status.BORDERLINE


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Hands]:
    made = Hands(tmp_path / "lab")
    yield made
    made.journal.close()


# ---- every status, every verb -------------------------------------------------------------------


def _measuring_again(lab: Hands) -> int:
    number = lab.running(70)
    lab.scored(number, 1.9)
    lab.runs(number)
    return number


def _audited(lab: Hands) -> int:
    number = lab.running(70)
    for score in (1.5, 1.501):
        lab.scored(number, score)
    return number


def _replicated(lab: Hands) -> int:
    number = lab.measured(BORDERLINE, 70)
    lab.runs(number)
    return number


def _pinned(lab: Hands) -> int:
    number = lab.measured(DISCARDED, 70, 2.1)
    lab.act("branch", id=number)
    return number


def _unsound(lab: Hands) -> int:
    parent = lab.measured(KEPT, 70, 1.9)
    child = lab.measured(KEPT, 80, 1.8, parent)
    lab.act("reject", id=parent)
    return child


POINTS: dict[str, Callable[[Hands], int]] = {
    "queued": lambda lab: lab.queued(70),
    "running": lambda lab: lab.running(70),
    "measuring again": _measuring_again,
    "being audited": _audited,
    "kept": lambda lab: lab.measured(KEPT, 70),
    "discarded": lambda lab: lab.measured(DISCARDED, 70, 2.1),
    "borderline": lambda lab: lab.measured(BORDERLINE, 70),
    "borderline, run once more": _replicated,
    "crashed": lambda lab: lab.measured(Status.CRASHED, 70, None),
    "stopped": lambda lab: lab.measured(Status.STOPPED, 70, None),
    "invalid": lambda lab: lab.measured(Status.INVALID, 70, None),
    "pruned": lambda lab: lab.measured(DISCARDED, 70, None),
    "pinned": _pinned,
    "unsound": _unsound,
    "baseline": lambda _: 0,
}
ANYTIME = {"note"}
MEASURED = {"accept", "reject", "branch", "replicate", "rerun", *ANYTIME}
UNMEASURED = {"rerun", *ANYTIME}
TAKES_EFFECT = {
    "queued": {"drop", "first", "later", *ANYTIME},
    "running": ANYTIME,
    "measuring again": ANYTIME,
    "being audited": ANYTIME,
    "kept": MEASURED,
    "discarded": MEASURED,
    "borderline": MEASURED,
    "borderline, run once more": MEASURED,
    "crashed": UNMEASURED,
    "stopped": UNMEASURED,
    "invalid": UNMEASURED,
    "pruned": {"reject", *UNMEASURED},
    "pinned": MEASURED,
    "unsound": MEASURED,
    "baseline": {"branch", "replicate", "rerun", *ANYTIME},
}
VERBS = (
    "accept", "reject", "branch", "replicate", "rerun", "drop", "first", "later", "note",
    "finish", "skip",  # without an engine nothing runs that could be ended, or let finish
)  # fmt: skip


@pytest.mark.parametrize("name", POINTS)
def test_a_hand_at_every_point_takes_effect_or_is_refused_with_the_reason(
    name: str, lab: Hands, tmp_path: Path
) -> None:
    number = POINTS[name](lab)
    lab.queued(75)  # behind it
    before, story = lab.own(number), lab.story(number)
    assert TAKES_EFFECT[name] <= set(VERBS)
    for verb in set(VERBS) - TAKES_EFFECT[name]:
        row = lab.act(verb, id=number)
        assert row.state == "refused", (verb, row.outcome)
        assert row.outcome
        assert "\n" not in row.outcome
        assert (lab.own(number), lab.story(number)) == (before, story)
    for verb in sorted(TAKES_EFFECT[name]):
        copy = lab.copy(tmp_path / verb)
        row = copy.act(verb, id=number, text="a thought")
        assert row.state == "done", (verb, row.outcome)
        assert f"#{number}" in (row.outcome or "")
        if verb in ("accept", "reject"):
            assert copy.own(number).status is (KEPT if verb == "accept" else DISCARDED)
            if before.status is not copy.own(number).status:
                told = copy.journal.verdicts(number)[-1]
                assert (told.event, told.decided_by) == (verb, "ada")
                assert told.facts["before"]["status"] == before.status
        copy.journal.close()


# ---- two people ---------------------------------------------------------------------------------


def newest(lab: Hands) -> int:
    return max(event.id for n in lab.journal.experiments() for event in lab.journal.verdicts(n))


def test_who_decides_second_without_having_seen_it_is_told_who_was_first(lab: Hands) -> None:
    number = lab.measured(BORDERLINE, 70)
    seen = newest(lab)
    first = lab.act("accept", "anna", id=number, seen=seen)
    second = lab.act("reject", "bob", id=number, seen=seen)
    assert (first.state, second.state) == ("done", "refused")
    assert second.outcome is not None
    assert second.outcome.startswith(f"#{number}: not rejected — anna accepted it at ")
    assert "look at it and decide again" in second.outcome
    assert lab.own(number).status is KEPT
    again = lab.act("reject", "bob", id=number, seen=newest(lab))
    assert again.state == "done"
    assert again.outcome is not None
    assert "(anna accepted it at " in again.outcome
    assert lab.story(number)[-3:] == [
        ("ask", "borderline", "rule"), ("accept", "kept", "anna"), ("reject", "discarded", "bob"),
    ]  # fmt: skip


def test_the_same_decision_twice_is_answered_kindly(lab: Hands) -> None:
    number = lab.measured(BORDERLINE, 70)
    seen = newest(lab)
    lab.act("accept", "anna", id=number, seen=seen)
    again = lab.act("accept", "bob", id=number, seen=seen)
    assert again.state == "done"
    assert again.outcome is not None
    assert again.outcome.startswith(f"#{number} is kept already: anna accepted it at ")
    assert len(lab.journal.by_hand()) == 1


def test_a_command_that_says_nothing_of_what_was_seen_knew_what_was_there_when_it_was_given(
    lab: Hands,
) -> None:
    number = lab.measured(BORDERLINE, 70)
    lab.act("accept", "anna", id=number)
    assert lab.act("reject", "bob", id=number).state == "done"
    for verb in ("accept", "reject"):  # both given before either is answered
        lab.journal.drop(verb, {"id": number}, f"the {verb}er")
    last = lab.act("note", id=number, text="both at once")
    states = [row.state for n in (last.id - 2, last.id - 1) if (row := lab.journal.command(n))]
    assert states == ["done", "refused"]


def test_a_score_whose_audit_has_failed_can_t_be_kept_by_hand(lab: Hands) -> None:
    from cockpit.lab.rows import AuditRow

    number = lab.measured(DISCARDED, 70)
    lab.journal.add_audit(AuditRow(number, 1, 0.0, "failed", "audit: other losses", {}))
    for verb in ("accept", "branch"):
        row = lab.act(verb, id=number)
        assert row.state == "refused"
        assert "audit: other losses" in (row.outcome or "")


# ---- undo ---------------------------------------------------------------------------------------


def test_undo_takes_back_one_decision_after_the_other_each_as_an_event_of_its_own(
    lab: Hands,
) -> None:
    first, second = lab.measured(BORDERLINE, 70), lab.measured(DISCARDED, 80, 1.8)
    rule = lab.own(first)
    lab.act("accept", id=first)
    lab.act("reject", id=first)
    lab.act("accept", id=second)
    assert lab.branch() == lab.own(second).commit
    lab.act("branch", id=first)
    assert lab.branch() == lab.own(first).commit

    said = [lab.act("undo").outcome or "" for _ in range(4)]

    assert [text.split(":")[0] for text in said] == ["#1", "#2", "#1", "#1"]
    assert "choice of the base" in said[0]
    assert lab.own(second).status is DISCARDED
    assert lab.own(first) == rule
    assert lab.branch() == lab.own(0).commit
    assert [event for event, _, _ in lab.story(first)][-6:] == [
        "accept", "reject", "branch", "undo", "undo", "undo",
    ]  # fmt: skip
    nothing = lab.act("undo")
    assert (nothing.state, nothing.outcome) == (
        "refused", "nothing that was decided by hand is left: nothing to take back",
    )  # fmt: skip
    note = json.loads(lab.git("notes", "--ref", "cockpit", "show", rule.commit or ""))
    assert (note["status"], note["decided_by"]) == ("borderline", "rule")


def test_undo_of_what_somebody_else_has_decided_unseen_is_refused(lab: Hands) -> None:
    number = lab.measured(BORDERLINE, 70)
    seen = newest(lab)
    lab.act("accept", "anna", id=number)
    refused = lab.act("undo", "bob", seen=seen)
    assert refused.state == "refused"
    assert "anna accepted it at" in (refused.outcome or "")
    assert lab.act("undo", "bob", seen=newest(lab)).state == "done"
    assert lab.own(number).status is BORDERLINE


def test_undo_leaves_what_the_rule_has_said_since(lab: Hands) -> None:
    from cockpit.core.experiment import Verdict

    number = lab.measured(BORDERLINE, 70)
    lab.act("accept", id=number)
    lab.journal.decide(number, DISCARDED, Verdict(Event.REJECT, "audit: other losses"))
    row = lab.act("undo")
    assert row.state == "done"
    assert "it stays discarded: audit: other losses" in (row.outcome or "")
    assert lab.own(number).status is DISCARDED


# ---- the base and what grows from it ------------------------------------------------------------


def test_the_base_is_what_a_person_says_until_it_is_the_best_again(lab: Hands) -> None:
    best, other = lab.measured(KEPT, 70, 1.8), lab.measured(DISCARDED, 80, 2.1)
    row = lab.act("branch", id=other)
    assert f"what grows from it is unsound until `cockpit accept {other}`" in (row.outcome or "")
    assert lab.branch() == lab.own(other).commit
    assert lab.act("branch", id=other).outcome == (
        f"#{other} is pinned already; the base is #{other}; "
        "it stays the base until `cockpit branch best`"
    )
    row = lab.act("branch", "bob", id=None)
    assert row.outcome is not None
    assert row.outcome.startswith(f"the base is the best again (until now #{other}: ada made it ")
    assert row.outcome.endswith(f"; the base is #{best} now")
    assert lab.branch() == lab.own(best).commit
    assert "no base is pinned" in (lab.act("branch", id=None).outcome or "")


def test_what_had_grown_from_a_pinned_one_before_is_not_the_base(lab: Hands) -> None:
    early = lab.measured(KEPT, 70, 1.9)
    late = lab.measured(KEPT, 80, 1.7, early)
    assert f"the base is #{early} now" in (lab.act("branch", id=early).outcome or "")
    assert lab.branch() == lab.own(early).commit
    grown = lab.measured(KEPT, 90, 1.8, early)
    assert waiting(lab.lab)["base"] == grown
    assert f"the base is #{early} now" in (lab.act("branch", id=early).outcome or "")
    assert f"the base is #{late} now" in (lab.act("branch", id=None).outcome or "")


def test_rejecting_a_parent_moves_the_base_and_accepting_it_again_heals(lab: Hands) -> None:
    parent = lab.measured(KEPT, 70, 1.9)
    child = lab.measured(KEPT, 80, 1.7, parent)
    other = lab.measured(KEPT, 90, 1.95)
    row = lab.act("reject", id=parent)
    assert f"the base is #{other} now" in (row.outcome or "")
    assert f"#{child}, grown from it, is unsound" in (row.outcome or "")
    assert lab.branch() == lab.own(other).commit
    row = lab.act("accept", id=parent)
    assert f"the base is #{child} now" in (row.outcome or "")
    assert lab.branch() == lab.own(child).commit


def test_what_is_unsound_is_tried_again_on_the_present_base(lab: Hands) -> None:
    parent = lab.measured(KEPT, 70, 1.9)
    child = lab.measured(KEPT, 80, 1.7, parent)
    lab.act("reject", id=parent)
    row = lab.act("rerun", "anna", id=child)
    new = lab.own(max(lab.journal.experiments()))
    assert row.outcome == f"#{child} is queued again as #{new.id}, first, on the base #0"
    assert (new.parent, new.title, new.proposer) == (0, "width 80", "anna")


# ---- runs and the queue -------------------------------------------------------------------------


def test_a_crash_is_tried_again_as_an_experiment_of_that_person_at_the_front(lab: Hands) -> None:
    crashed = lab.measured(Status.CRASHED, 70, None)
    best = lab.measured(KEPT, 90, 1.9)
    waiting = lab.queued(100, best)
    row = lab.act("rerun", "anna", id=crashed)
    new = lab.own(max(lab.journal.experiments()))
    assert row.outcome == f"#{crashed} is queued again as #{new.id}, first, on the base #{best}"
    assert (new.title, new.proposer, new.parent) == ("width 70", "anna", best)
    assert lab.journal.proposal(new.id).constants == {"WIDTH": 70}
    assert new.place is not None
    assert new.place < waiting
    again = lab.act("rerun", id=crashed)
    assert again.state == "refused"
    assert f"this very train.py is #{new.id} already" in (again.outcome or "")


def test_a_measured_one_runs_once_more(lab: Hands) -> None:
    number = lab.measured(BORDERLINE, 70)
    assert lab.act("rerun", id=number).outcome == f"#{number} runs once more, with a new seed"
    said = lab.act("replicate", "bob", id=number).outcome
    assert said == f"#{number} runs once more, with a new seed (2 runs of it wait)"
    wishes = [(w.experiment, w.purpose, w.why, w.author) for w in lab.journal.wanted()]
    assert wishes == [
        (number, "verdict", "replicate", "ada"), (number, "verdict", "replicate", "bob"),
    ]  # fmt: skip


def test_the_runs_that_the_rule_wanted_are_spared_where_a_person_decides(lab: Hands) -> None:
    number = lab.measured(BORDERLINE, 70)
    lab.journal.want(number, "verdict", "replicate", "rule")
    lab.journal.want(number, "verdict", "replicate", "anna")
    lab.act("reject", id=number)
    assert [wish.author for wish in lab.journal.wanted()] == ["anna"]


def test_the_queue_is_put_in_order_and_dropped_from(lab: Hands) -> None:
    from cockpit.core.queue import in_line

    numbers = [lab.queued(width) for width in (70, 80, 90)]

    def line() -> list[int]:
        queued = lab.journal.experiments().values()
        return [e.id for e in in_line(e for e in queued if e.status is Status.QUEUED)]

    lab.act("first", id=numbers[2])
    lab.act("later", id=numbers[0])
    assert line() == [numbers[2], numbers[1], numbers[0]]
    assert "already" in (lab.act("first", id=numbers[2]).outcome or "")
    lab.act("drop", id=numbers[1])
    assert line() == [numbers[2], numbers[0]]
    assert lab.own(numbers[1]).status is Status.STOPPED
    assert lab.story(numbers[1]) == [("stop", "stopped", "ada")]


def test_a_note_is_kept_with_who_wrote_it(lab: Hands) -> None:
    lab.act("note", "anna", id=0, text=" looks like luck ")
    lab.act("note", "bob", id=0, text="to me too")
    assert [(r.author, r.text) for r in lab.journal.remarks(0)] == [
        ("anna", "looks like luck"), ("bob", "to me too"),
    ]  # fmt: skip
    assert lab.act("note", id=0, text=" ").state == "refused"
    assert lab.act("note", id=77, text="x").state == "unknown"


# ---- a person's own train.py --------------------------------------------------------------------


def test_a_train_py_of_one_s_own_is_an_experiment_at_the_front(lab: Hands) -> None:
    waiting = lab.queued(70)
    row = lab.act("experiment", "anna", title="wider", train_py=wide(128), base=0)
    own = lab.own(max(lab.journal.experiments()))
    assert row.outcome == f"#{own.id} is queued, first, on the base #0"
    assert (own.title, own.proposer, own.parent) == ("wider", "anna", 0)
    assert own.place is not None
    assert own.place < waiting
    again = lab.act("experiment", "bob", title="also wider", train_py=wide(128))
    assert again.state == "refused"
    assert f"this very train.py is #{own.id} already (wider: queued)" in (again.outcome or "")


def test_what_was_edited_from_an_older_base_is_its_change_and_not_its_text(lab: Hands) -> None:
    best = lab.measured(KEPT, 70, 1.9)
    edited = TEXT.replace("DEPTH = 2 ", "DEPTH = 3 ")
    lab.act("experiment", title="deeper", train_py=edited, base=0)
    own = lab.own(max(lab.journal.experiments()))
    assert own.parent == best
    assert lab.journal.proposal(own.id).constants == {"DEPTH": 3}
    commented = TEXT.replace("WIDTH = 64 ", "WIDTH = 64  # wide,")
    refused = lab.act("experiment", title="told", train_py=commented, base=0)
    assert refused.state == "refused"
    assert f"it does not apply to the present base #{best}" in (refused.outcome or "")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (TEXT, "it changes nothing"),
        (TEXT + "import os\n", "guard: "),
        (TEXT + "def (:\n", "guard: "),
        (TEXT + "# more\n" * 10_000, "guard: train.py has 7"),
        (" ", "needs the text"),
    ],
)
def test_what_is_no_experiment_is_refused_with_the_reason(
    lab: Hands, text: str, reason: str
) -> None:
    row = lab.act("experiment", title="x", train_py=text)
    assert row.state == "refused"
    assert reason in (row.outcome or "")
    assert list(lab.journal.experiments()) == [0]


def test_a_text_that_leaves_its_constants_to_the_preset_is_its_change_of_that(
    lab: Hands,
) -> None:
    # The tag begins with constants of the preset in a text that asks for them.
    (lab.lab.root / TRAIN_PY).write_text(TEXT.replace('"none"', '"auto"').replace("64", "512"))
    lab.git("-c", "commit.gpgsign=false", "commit", "-qam", "Ask for the preset")
    head = lab.git("rev-parse", "HEAD")
    lab.journal._db.execute("UPDATE tag SET options = ?", (json.dumps({"parent_commit": head}),))
    theirs = (lab.lab.root / TRAIN_PY).read_text() + "\n\nEXTRA = 1  # unit\n"
    row = lab.act("experiment", title="extra", train_py=theirs)
    assert row.state == "done", row.outcome
    edits = lab.journal.proposal(max(lab.journal.experiments())).edits
    assert edits is not None
    assert "512" not in "".join(edit.replace for edit in edits)
