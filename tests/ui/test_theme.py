"""Theme files."""

import os
from pathlib import Path

import pytest

from cockpit.ui.theme import KEYS, ThemeError, Themes, load, plain, themes_directory

NAMES = ["ansi", "colour-blind", "dark", "high-contrast", "light"]


def test_the_themes_that_travel_with_cockpit_are_whole() -> None:
    themes = Themes(themes_directory())
    assert themes.problem is None
    assert themes.names() == NAMES
    for name in NAMES:
        assert themes.get(name).name == name
        assert set(themes.get(name).styles) == set(KEYS)


def test_the_plain_theme_has_no_colours() -> None:
    assert all(style.color is None and style.bgcolor is None for style in plain().styles.values())


def copy_of_dark(directory: Path) -> Path:
    path = directory / "mine.toml"
    path.write_text((themes_directory() / "dark.toml").read_text())
    return path


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("[colours]", "[colours", "line 5"),
        ('live = "#66c2a5"', 'live = "no such colour"', "line 12"),
        ('live = "#66c2a5"', 'alive = "#66c2a5"', "line 12"),
        ('live = "#66c2a5"\n', "", "no colour for live"),
    ],
)
def test_a_broken_file_is_named_with_its_line(
    tmp_path: Path, old: str, new: str, line: str
) -> None:
    path = copy_of_dark(tmp_path)
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(ThemeError, match=line) as error:
        load(path)
    assert "mine.toml" in str(error.value)


def test_a_changed_file_is_read_again_and_a_broken_one_leaves_the_old(tmp_path: Path) -> None:
    path = copy_of_dark(tmp_path)
    themes = Themes(tmp_path)
    assert themes.changed() == set()
    path.write_text(path.read_text().replace("#14171c", "#000000"))
    os.utime(path, ns=(1, 1))
    assert themes.changed() == {"mine"}
    assert themes.get("mine").textual().background == "#000000"
    path.write_text("broken")
    os.utime(path, ns=(2, 2))
    assert themes.changed() == set()
    assert themes.problem is not None
    assert "mine.toml line 1" in themes.problem
    assert themes.get("mine").textual().background == "#000000"
