"""The keep rule on verdicts that are there already, such as an imported table's."""

from pathlib import Path

import pytest

from cockpit import tables
from cockpit.core.judge import Policy
from cockpit.lab import template
from cockpit.lab.lab import Lab, NoLabError
from cockpit.lab.newlab import init_lab
from cockpit.rejudging import as_json, lines, rejudge

TABLE = """\
commit\tval_bpb\tmemory_gb\tstatus\tdescription
aaaaaaa\t0.997900\t44.0\tkeep\tbaseline
bbbbbbb\t0.986000\t26.0\tkeep\thalve batch
ccccccc\t0.985900\t26.0\tkeep\tnudge a rate
ddddddd\t0.990000\t26.0\tdiscard\tno warmup
eeeeeee\t0.000000\t0.0\tcrash\ttypo
"""


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    init_lab(tmp_path / "lab", template.directory())
    (tmp_path / "old.tsv").write_text(TABLE)
    made = Lab(tmp_path / "lab")
    tables.import_table(made, tmp_path / "old.tsv", None)
    return made


def test_what_was_noise_is_told_from_progress(lab: Lab) -> None:
    tag, reckoning, found = rejudge(lab, None, Policy.AUTO, None)
    assert tag == "old"
    assert reckoning.noise.runs == 0
    verdicts = {one.title: (one.before, one.now) for one in found}
    assert verdicts == {
        "halve batch": ("kept", "kept"),
        "nudge a rate": ("kept", "discarded"),
        "no warmup": ("discarded", "discarded"),
    }
    told = "\n".join(lines(tag, reckoning, found, Policy.AUTO))
    assert "2 were kept; of those it keeps 1, asks about 0, discards 1" in told
    assert "assumed: nothing ran twice" in told
    assert as_json(tag, reckoning, found)["experiments"][0]["now"] == "kept"


def test_under_strict_nothing_changes(lab: Lab) -> None:
    _, _, found = rejudge(lab, "old", Policy.STRICT, None)
    assert all(one.before == one.now for one in found)


def test_another_noise_is_another_judgement(lab: Lab) -> None:
    _, _, found = rejudge(lab, None, Policy.AUTO, 0.00001)
    assert [one.now for one in found][:2] == ["kept", "kept"]


def test_an_unknown_tag_is_told(lab: Lab) -> None:
    with pytest.raises(NoLabError, match="no tag nov99"):
        rejudge(lab, "nov99", Policy.AUTO, None)
