"""Writes a report: Markdown, a page and a picture, each by itself or all into a directory."""

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from cockpit.lab.lab import Lab, SettingsError
from cockpit.reports import html, markdown, plot
from cockpit.reports.night import NightReport
from cockpit.reports.sections import told

NAMES = {".md": "report.md", ".html": "report.html", ".png": "report.png"}
"""What is written, by the ending of its name."""


def write(lab: Lab, report: NightReport, out: Path | None) -> list[Path]:
    """Write a report and return the paths of what was written.

    `out` is a directory, or one file whose ending says what it is; by default a directory of
    the lab's state, named for tag and day. Raises `SettingsError` for a file of another kind.
    """
    if out is not None and out.suffix and not out.is_dir():
        if out.suffix not in NAMES:
            raise SettingsError(
                f"--out {out}: a report is a directory, or a file that ends in {', '.join(NAMES)}"
            )
        wanted = {out.suffix: out}
    else:
        directory = out or default_directory(lab, report)
        wanted = {suffix: directory / name for suffix, name in NAMES.items()}
    makers = _makers(lab, report, ".png" in wanted)
    for suffix, path in wanted.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, makers[suffix]())
    return list(wanted.values())


def default_directory(lab: Lab, report: NightReport) -> Path:
    """Return where a report goes that was told no place."""
    day = time.strftime("%Y-%m-%d", time.localtime(report.made_at))
    return lab.state / "reports" / f"{report.tag or 'empty'}-{day}"


def as_markdown(report: NightReport) -> str:
    """Return the Markdown alone, for a terminal."""
    return markdown.text(told(report), None)


def _makers(lab: Lab, report: NightReport, pictured: bool) -> Mapping[str, Callable[[], bytes]]:
    plot.prepare(lab.state / "matplotlib")
    words = told(report)

    def page() -> bytes:
        shapes = (plot.WIDE, plot.NARROW) if report.tag else ()
        drawings = tuple(plot.svg(report.progress, shape) for shape in shapes)
        return html.page(words, drawings).encode("utf-8", "replace")

    return {
        ".md": lambda: markdown.text(words, NAMES[".png"] if pictured else None).encode(
            "utf-8", "replace"
        ),
        ".html": page,
        ".png": lambda: plot.png(report.progress, words.title),
    }


def _replace(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees the old one or the new one, whole."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_bytes(content)
    os.replace(temporary, path)
