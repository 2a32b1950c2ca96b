"""From a journal to the figures of a report."""

from pathlib import Path

import pytest

from cockpit.core.experiment import Event, Run, Status, Verdict
from cockpit.lab.lab import Lab, NoLabError
from cockpit.lab.writing import EngineJournal
from cockpit.reports.figures import night_report
from tests.reports import labs


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return labs.make(tmp_path / "lab")


def journal(lab: Lab) -> EngineJournal:
    return EngineJournal(lab.journal)


def test_the_headline_says_how_far_and_at_what_price(lab: Lab) -> None:
    head = night_report(lab).headline
    assert head.baseline is not None
    assert head.best is not None
    assert (head.baseline.id, head.best.id) == (0, 4)
    assert (head.ideas, head.kept, head.waiting, head.runs, head.nights) == (7, 2, 1, 12, 1)
    assert head.seconds == 3600.0
    assert head.dollars == pytest.approx(0.14)


def test_honest_gains_add_up_along_the_way_to_the_best(lab: Lab) -> None:
    gain = night_report(lab).headline.gain
    assert gain is not None
    assert (gain.how, gain.value) == ("honest", pytest.approx(-0.006))
    assert gain.error == pytest.approx(0.0005 * 2**0.5)


def test_without_honest_gains_the_measured_one_is_told_as_such(lab: Lab) -> None:
    journal(lab).change_experiment(1, gain=None)
    gain = night_report(lab).headline.gain
    assert gain is not None
    assert gain.how == "measured"
    assert gain.value == pytest.approx((0.9786 + 0.9789) / 2 - (0.9979 + 0.9985) / 2)


def test_fresh_pairs_confirm(lab: Lab) -> None:
    own = journal(lab)
    for number, score in ((0, 0.998), (4, 0.980)):
        own.add_run(Run(number, 3, 9, "s", 0, "finished", 0.0, 1.0, score, purpose="confirm"))
    honest = night_report(lab).honest
    assert honest is not None
    assert honest.confirmed.gain == pytest.approx(-0.018)
    assert honest.sealed.own == pytest.approx(0.9886)


def test_each_verdict_stands_where_it_belongs(lab: Lab) -> None:
    report = night_report(lab)
    assert [own.id for own in report.kept] == [1, 4]
    assert [own.id for own in report.waiting] == [5]
    assert [(kind.kind, kind.examples) for kind in report.crashes] == [("NameError", (3,))]
    assert [own.id for own in report.invalid] == [6]
    assert len(report.progress.points) == 8


def test_a_change_whose_parent_was_rejected_is_kept_and_unsound(lab: Lab) -> None:
    own = journal(lab)
    own.decide(1, Status.DISCARDED, Verdict(Event.REJECT, "too long", "anna"), 50.0)
    report = night_report(lab)
    assert [(own.id, own.sound) for own in report.kept] == [(4, False)]
    decision = report.decisions[0]
    assert (decision.by, decision.experiment, decision.status) == ("anna", 1, "discarded")
    assert decision.ruled == "kept"


def test_remarks_are_told(lab: Lab) -> None:
    journal(lab).remark(2, "anna", "try it at 2 % again")
    assert [remark.text for remark in night_report(lab).remarks] == ["try it at 2 % again"]


def test_the_time_is_told_by_hour_and_by_category(lab: Lab) -> None:
    time = night_report(lab).time
    assert (time.ideas_an_hour, time.runs_an_hour) == (pytest.approx(7.0), pytest.approx(12.0))
    assert time.ledger["other"] == pytest.approx(540.0)
    assert time.busy == pytest.approx(3000.0 / 3600.0)
    assert time.in_runs["training"] == pytest.approx(10 * 300.0)


def test_what_pruning_saved_is_counted_against_a_whole_run(lab: Lab) -> None:
    journal(lab).add_run(Run(2, 2, 5, "s", 0, "pruned", 0.0, 110.0, training_seconds=100.0))
    pruning = night_report(lab).time.pruning
    assert pruning is not None
    assert (pruning.pruned, pruning.saved_seconds) == (1, pytest.approx(220.0))


def test_models_are_told_by_who_asked_them(lab: Lab) -> None:
    (model,) = night_report(lab).models
    assert (model.calls, model.unanswered, model.prompt_tokens) == (3, 1, 10009)


def test_an_unknown_tag_is_refused(lab: Lab) -> None:
    with pytest.raises(NoLabError, match="no tag other"):
        night_report(lab, "other")


def test_a_lab_without_a_night_has_an_empty_report(tmp_path: Path) -> None:
    report = night_report(Lab(tmp_path))
    assert report.tag is None
    assert report.headline.ideas == 0
