"""What the screen knows of a lab."""

import shutil
import threading
import time
from collections.abc import Callable
from typing import Any

from cockpit.core.experiment import Event, Proposal, Status, Verdict
from cockpit.core.ledger import SlotLedger
from cockpit.lab.rows import AuditRow
from cockpit.ui.client import Client
from cockpit.ui.snapshot import Outcome


def test_a_lab_without_a_journal_is_fresh(night: Any) -> None:
    snapshot = Client(night.lab).snapshot()
    assert snapshot.engine.state == "fresh"
    assert snapshot.problem is None


def test_a_file_that_is_no_journal_is_a_problem_and_no_crash(night: Any) -> None:
    night.lab.state.mkdir()
    night.lab.journal.write_text("nonsense " * 1000)
    problem = Client(night.lab).snapshot().problem
    assert problem is not None
    assert "journal" in problem


def test_a_snapshot_tells_best_baseline_noise_and_what_awaits(night: Any) -> None:
    night.a_few()
    snapshot = Client(night.lab).snapshot()
    assert snapshot.baseline is not None
    assert snapshot.best is not None
    assert (snapshot.baseline.id, snapshot.best.id) == (0, 1)
    assert snapshot.best_line == {0, 1}
    assert snapshot.awaiting == (3,)
    assert snapshot.noise.runs == 2
    assert (snapshot.ideas, snapshot.kept) == (4, 1), "the baseline is no idea"
    assert snapshot.proposer == "search"
    assert dict(snapshot.counts or {}) == {
        "kept": 1, "discarded": 1, "borderline": 1, "crashed": 1,
    }  # fmt: skip


def test_what_did_not_change_is_the_same_object(night: Any) -> None:
    night.a_few()
    client = Client(night.lab)
    first = client.snapshot()
    night.beat()
    second = client.snapshot()
    assert second.experiments is first.experiments
    assert second.messages is first.messages


def test_a_later_verdict_arrives(night: Any) -> None:
    night.a_few()
    client = Client(night.lab)
    client.snapshot()
    night.journal.decide(3, Status.KEPT, Verdict(Event.ACCEPT, "I say so", "me"))
    snapshot = client.snapshot()
    assert snapshot.best is not None
    assert snapshot.best.id == 3
    assert snapshot.awaiting == ()


def test_the_engine_lives_as_long_as_its_lock_is_held(night: Any) -> None:
    night.a_few()
    with night.alive():
        assert Client(night.lab).snapshot().engine.state == "running"
    with night.alive("paused"):
        assert Client(night.lab).snapshot().engine.state == "paused"
    assert Client(night.lab).snapshot().engine.state == "dead"
    night.beat("stopped")
    assert Client(night.lab).snapshot().engine.state == "stopped"


def test_an_old_heartbeat_is_stale(night: Any) -> None:
    night.a_few()
    with night.alive():
        night.beat(age=60)
        engine = Client(night.lab).snapshot().engine
    assert engine.stale
    assert engine.heartbeat_age is not None
    assert 59 < engine.heartbeat_age < 70


def test_the_run_under_way_comes_with_its_curve_and_its_bases(
    night: Any, step: Callable[..., dict[str, Any]], phase: Callable[..., dict[str, Any]]
) -> None:
    night.a_few()
    night.write_metrics(1, 1, [step(n, n / 10, 5.0) for n in range(600)])
    number = night.running(1)
    client = Client(night.lab)
    with night.alive():
        (run,) = client.snapshot().current
        assert (run.experiment, run.phase, run.curve) == (number, "starting", ())
        assert len(run.base_curve) == 600
        night.write_metrics(number, 1, [phase("training"), step(1, 0.1, 7.0), step(2, 0.2, None)])
        (run,) = client.snapshot().current
    assert (run.phase, run.curve) == ("training", ((0.1, 7.0), (0.2, None)))
    assert run.budget_seconds == 60.0
    assert run.base == 1


def test_a_curve_of_a_long_run_is_thinned(night: Any, step: Callable[..., dict[str, Any]]) -> None:
    night.a_few()
    number = night.running(1)
    night.write_metrics(number, 1, [step(n, n / 10, 5.0) for n in range(9_000)])
    with night.alive():
        (run,) = Client(night.lab).snapshot().current
    assert len(run.curve) <= 4_000
    assert run.step is not None
    assert run.step.step == 8_999


def test_a_training_that_begins_anew_begins_its_curve_anew(
    night: Any, step: Callable[..., dict[str, Any]]
) -> None:
    night.a_few()
    number = night.running(1)
    night.write_metrics(number, 1, [step(1, 9.0, 5.0), step(1, 0.1, 7.0)])
    with night.alive():
        (run,) = Client(night.lab).snapshot().current
    assert run.curve == ((0.1, 7.0),)


def test_a_journal_may_vanish_and_come_back(night: Any) -> None:
    night.a_few()
    client = Client(night.lab)
    assert client.snapshot().ideas == 4
    night.forget()
    shutil.rmtree(night.lab.state)
    assert client.snapshot().engine.state == "fresh"
    assert not client.snapshot().experiments
    night.judged(None, Status.KEPT, 2.0)
    assert list(client.snapshot().experiments or {}) == [0]


def test_without_a_journal_a_command_is_refused(night: Any) -> None:
    outcome = Client(night.lab).send("pause", {})
    assert outcome is not None
    assert not outcome.done


def test_the_answer_to_a_command_arrives_once(night: Any) -> None:
    night.a_few()
    client = Client(night.lab)
    with night.alive():
        assert client.send("accept", {"id": 3}) is None
        assert client.snapshot().outcomes == ()
        (command,) = night.journal.waiting_commands()
        assert (command.verb, command.arguments) == ("accept", {"id": 3})
        assert command.author == client.author
        night.journal.answer(command.id, "done", "#3 is kept")
        assert client.snapshot().outcomes == (Outcome("accept", True, "#3 is kept"),)
        assert client.snapshot().outcomes == ()


def test_without_an_engine_a_command_is_carried_out_or_refused_all_the_same(
    night: Any, wait_until: Callable[..., Any]
) -> None:
    night.a_few()
    night.beat("stopped")
    client = Client(night.lab)
    assert client.send("accept", {"id": 999}) is None
    (outcome,) = wait_until(lambda: client.snapshot().outcomes, 20, "an answer")
    assert not outcome.done


def test_details_tell_the_story_and_the_change(night: Any) -> None:
    night.a_few()
    for number, text in ((0, "LR = 0.02\n"), (1, "LR = 0.03\n")):
        night.write_metrics(number, 1, [])
        (night.lab.run_directory(number, 1) / "train.py").write_text(text)
    client = Client(night.lab)
    client.snapshot()
    details = client.details(1)
    assert details is not None
    assert [event.reason for event in details.verdicts] == ["kept for a reason"]
    assert details.diff[1:] == ("-LR = 0.02", "+LR = 0.03")
    assert client.details(77) is None


def test_what_a_person_has_seen_asked_for_and_pinned_is_known(night: Any) -> None:
    night.a_few()
    client = Client(night.lab)
    newest = night.journal.verdicts(4)[-1].id
    first = client.snapshot()
    assert (first.seen, first.by_hand, first.wanted) == (newest, None, ())
    assert (first.base, first.queue) == (first.best, ())
    queued = [
        night.journal.add_experiment(night.tag, 1, Proposal(f"idea {n}", "search"))
        for n in range(3)
    ]
    night.journal.change_experiment(queued[2], place=-1.0)
    night.journal.want(3, "verdict", "replicate", "anna")
    night.journal.pin(night.tag, 0)
    night.journal.decide(3, Status.KEPT, Verdict(Event.ACCEPT, "kept by hand", "anna"))
    snapshot = client.snapshot()
    assert snapshot.queue == (queued[2], queued[0], queued[1])
    assert [wish.why for wish in snapshot.wanted] == ["replicate"]
    assert snapshot.tag is not None
    assert snapshot.tag.pinned == 0
    assert snapshot.by_hand is not None
    accepted = snapshot.by_hand
    assert (accepted.experiment, accepted.decided_by, accepted.id) == (3, "anna", snapshot.seen)
    undone = Verdict(Event.UNDO, "taken back", "anna", {"undoes": accepted.id})
    night.journal.tell(3, Status.BORDERLINE, undone)
    assert client.snapshot().by_hand is None


def test_details_tell_remarks_wishes_and_the_sealed_rows(night: Any) -> None:
    night.a_few()
    for number, sealed in ((1, 2.02), (3, 2.01)):
        facts = {"sealed_bpb": sealed}
        night.journal.add_audit(AuditRow(number, 1, 0.0, "passed", "it holds", facts))
    night.journal.remark(3, "anna", "odd")
    night.journal.want(3, "verdict", "replicate", "anna")
    client = Client(night.lab)
    client.snapshot()
    details = client.details(3)
    assert details is not None
    assert [remark.text for remark in details.remarks] == ["odd"]
    assert [wish.author for wish in details.wanted] == ["anna"]
    assert details.sealed_gain is not None
    assert abs(details.sealed_gain + 0.01) < 1e-9


def test_a_start_that_fails_says_why(night: Any) -> None:
    # Not a git repository: whatever else it lacks, it can't begin.
    error = Client(night.lab).start([], lambda text: None)
    assert error
    assert "Traceback" not in error


def test_a_dead_engines_run_waits_and_its_time_stands_still(night: Any) -> None:
    night.a_few()
    number = night.running(1)
    night.beat("running")
    client = Client(night.lab)
    snapshot = client.snapshot()
    assert snapshot.engine.state == "dead"
    assert snapshot.current == ()
    assert snapshot.stranded == (number,)
    before = snapshot.slots
    night.journal.add_message("engine", "engine", "something is written")
    assert client.snapshot().slots == before


def test_busy_is_training_and_evaluation(night: Any) -> None:
    night.a_few()
    night.beat("stopped")
    seconds = {"training": 60.0, "evaluation": 20.0, "startup": 20.0}
    night.journal.set_slot(0, "a processor", SlotLedger("other", time.monotonic(), seconds))
    busy = Client(night.lab).snapshot().busy
    assert busy is not None
    assert abs(busy - 0.8) < 0.01


def test_a_limit_counts_what_the_night_has_done_and_is_never_passed(night: Any) -> None:
    night.journal.begin_night(night.tag, {"max_experiments": 2})
    night.a_few()
    number = night.journal.last_night().id
    night.journal.change_night(number, claimed=2)
    night.running(1)
    client = Client(night.lab)
    assert (client.snapshot().limit, client.snapshot().done_tonight) == (2, 1)
    night.journal.change_night(number, claimed=9)
    assert client.snapshot().done_tonight == 2


def test_details_of_a_queued_one_tell_the_bases_values(night: Any) -> None:
    night.a_few()
    night.write_metrics(1, 1, [])
    (night.lab.run_directory(1, 1) / "train.py").write_text("LR = 0.02\nDEPTH = 4\n")
    proposal = Proposal("a step", "search", constants={"LR": 0.04})
    number = night.journal.add_experiment(night.tag, 1, proposal)
    client = Client(night.lab)
    client.snapshot()
    details = client.details(number)
    assert details is not None
    assert details.base_values == {"LR": 0.02}


def test_leaving_while_a_thread_looks_at_the_lab_is_no_crash(night: Any) -> None:
    night.a_few()
    client, left = Client(night.lab), threading.Event()

    def look() -> None:
        while not left.wait(0.001):
            client.snapshot()

    lookers = [threading.Thread(target=look) for _ in range(2)]
    for looker in lookers:
        looker.start()
    for _ in range(300):
        client.close()  # without a lock SQLite ends the process here
        left.wait(0.001)
    left.set()
    for looker in lookers:
        looker.join()
    assert client.snapshot().problem is None
    client.close()
