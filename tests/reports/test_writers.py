"""Markdown, page and picture: all of a report, harmless, and nothing from elsewhere."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from cockpit.core.ablating import Worth
from cockpit.core.experiment import Status
from cockpit.lab.honest import Ablation
from cockpit.lab.lab import Lab, SettingsError
from cockpit.lab.writing import EngineJournal
from cockpit.reports import plot
from cockpit.reports.figures import night_report
from cockpit.reports.markdown import paragraph
from cockpit.reports.palette import LIGHT
from cockpit.reports.writing import as_markdown, default_directory, write
from tests.reports import labs

VOID = {"meta", "wbr"}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return labs.make(tmp_path_factory.mktemp("night") / "lab")


class Reader(HTMLParser):
    """Collects the tags and attributes of a page, and checks that tags close."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(page)
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self._open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


def page_of(lab: Lab, directory: Path) -> str:
    write(lab, night_report(lab), directory / "report.html")
    return (directory / "report.html").read_text("utf-8")


def assert_it_asks_nobody(page: str) -> None:
    reader = Reader(page)
    assert "script" not in reader.tags
    assert not re.search(r"https?://|url\((?!#)|@import|//[a-z]", page)
    outside = {"src", "href", "srcset", "action", "background", "poster", "data"}
    assert all(value.startswith("#") for name, value in reader.attributes if name in outside)
    assert not [name for name, _ in reader.attributes if name.startswith("on")]
    assert "default-src 'none'" in page


def test_all_three_are_written_where_they_are_looked_for(lab: Lab) -> None:
    report = night_report(lab)
    paths = write(lab, report, None)
    directory = default_directory(lab, report)
    assert directory.parent == lab.state / "reports"
    assert paths == [directory / name for name in ("report.md", "report.html", "report.png")]
    assert paths[2].read_bytes().startswith(b"\x89PNG")
    assert "](report.png)" in paths[0].read_text("utf-8")
    assert sorted(directory.iterdir()) == sorted(paths)


def test_one_file_is_written_alone(lab: Lab, tmp_path: Path) -> None:
    out = tmp_path / "somewhere" / "night.md"
    assert write(lab, night_report(lab), out) == [out]
    assert list(out.parent.iterdir()) == [out]
    assert "report.png" not in out.read_text("utf-8")


def test_a_file_of_another_kind_is_refused(lab: Lab, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"ends in .md, .html, .png"):
        write(lab, night_report(lab), tmp_path / "night.pdf")


def test_a_page_holds_everything_and_asks_nobody(lab: Lab, tmp_path: Path) -> None:
    page = page_of(lab, tmp_path)
    assert_it_asks_nobody(page)
    text = Reader(page).text
    for told in (
        "0.9982 → 0.9788", "−0.0060 ±0.0007", "0.9886", "cockpit accept 5", "halve the batch",
        "NameError", "reads the rows", "$0.14", "7.0 ideas an hour", "waiting for an idea",
    ):  # fmt: skip
        assert told in text, told


def test_hostile_text_does_nothing_in_a_page(tmp_path: Path) -> None:
    lab = labs.make(tmp_path / "lab", title=labs.HOSTILE)
    own = EngineJournal(lab.journal)
    own.remark(1, "<b onclick=x>", "</td><script src=//evil.example/x></script>" + "x" * 10_000)
    page = page_of(lab, tmp_path)
    own.close()
    reader = Reader(page)
    assert not {"script", "b onclick"} & reader.tags
    assert "alert(1)" in reader.text
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e]", page)
    assert [name for name, _ in reader.attributes if name.startswith("on")] == []


def test_hostile_text_does_nothing_in_markdown(tmp_path: Path) -> None:
    lab = labs.make(tmp_path / "lab", title=labs.HOSTILE)
    text = as_markdown(night_report(lab))
    assert "<script" not in text.replace("\\<", "")
    assert "\x1b" not in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    columns = {len(re.findall(r"(?<!\\)\|", row)) for row in rows if "alert" in row}
    assert columns <= {len(re.findall(r"(?<!\\)\|", row)) for row in rows if "alert" not in row}


def test_a_title_of_ten_thousand_characters_is_shortened(tmp_path: Path) -> None:
    lab = labs.make(tmp_path / "lab", title="y" * 10_000)
    page = page_of(lab, tmp_path)
    assert "y" * 500 not in page
    assert len(page) < 100_000


def test_the_colours_of_a_drawing_are_the_page_s(lab: Lab) -> None:
    drawn = plot.svg(night_report(lab).progress, plot.WIDE)
    assert not [colour for colour in LIGHT.values() if colour in drawn]
    assert "var(--kept)" in drawn


def test_a_drawing_names_what_was_kept_as_it_is_written(lab: Lab) -> None:
    drawn = plot.svg(night_report(lab).progress, plot.WIDE)
    assert "#1 halve the batch" in drawn or "#4 window SSSSL" in drawn
    exact = night_report(labs.make(lab.root.parent / "exact", title="lr 0.00579 #20252b")).progress
    assert "#4 lr 0.00579 #20252b" in plot.svg(exact, plot.WIDE)


@pytest.mark.parametrize("rows", [(), labs.NIGHT[:1], labs.NIGHT[:2], labs.NIGHT[3:4]])
def test_few_experiments_are_drawn_too(rows: tuple[labs.Row, ...], tmp_path: Path) -> None:
    own = [(n, 0 if n else None, name, status, scores) for n, _, name, status, scores in rows]
    lab = labs.make(tmp_path / "lab", own)
    page = page_of(lab, tmp_path)
    assert_it_asks_nobody(page)
    assert page.count("<svg") == 2


def test_a_lab_where_nothing_was_started_has_a_page(tmp_path: Path) -> None:
    lab = Lab(tmp_path / "lab")
    paths = write(lab, night_report(lab), tmp_path / "out")
    assert [path.stat().st_size > 100 for path in paths] == [True] * 3
    assert "Nothing has been started" in paths[1].read_text("utf-8")


def test_thousands_of_experiments_make_a_page_that_opens(tmp_path: Path) -> None:
    rows: list[labs.Row] = [(0, None, "baseline", Status.KEPT, (1.0, 1.001))]
    rows += [(n, 0, f"idea {n}", Status.DISCARDED, (1.0 + n % 97 / 1e4,)) for n in range(1, 2000)]
    lab = labs.make(tmp_path / "lab", rows)
    assert len(page_of(lab, tmp_path)) < 1_200_000


def test_a_markdown_table_is_even_in_a_terminal(lab: Lab) -> None:
    lines = as_markdown(night_report(lab)).splitlines()
    start = lines.index("## Kept")
    table = [line for line in lines[start : start + 10] if line.startswith("|")]
    assert len(table) == 4
    assert len({len(line) for line in table}) == 1


def test_what_leaving_a_change_out_has_shown_is_told(lab: Lab) -> None:
    rows = (
        Worth(1, 9, 4, -0.0100, 0.0008, 0.99, "carries its weight"),
        Worth(4, 10, 4, 0.0001, 0.0008, 0.03, "dead weight"),
    )
    text = as_markdown(replace(night_report(lab), ablation=Ablation(rows, None)))
    assert "2 of 2 changes measured; dead weight: #4" in text
    assert re.search(r"#1 \| halve the batch *\| −0.0100 ±0.0008 \| 0.99 \| carries its", text)


@pytest.mark.parametrize(
    ("line", "escaped"),
    [
        ("2026-11-21 21:30", "2026-11-21 21:30"),
        ("1. first", "1\\. first"),
        ("# no heading", "\\# no heading"),
        ("MATRIX_LR is _not_ emphasised", "MATRIX_LR is \\_not\\_ emphasised"),
    ],
)
def test_a_paragraph_of_others_is_no_markup(line: str, escaped: str) -> None:
    assert paragraph(line) == escaped
