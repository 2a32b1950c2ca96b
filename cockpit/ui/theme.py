"""Colour themes: one TOML file each, read again when the file changes.

A file has `name`, `dark`, and a table `[colours]` with every key of `KEYS`. A value is a
colour as rich writes it (`#5fafff`, `green`, `bright_black`, `default`), optionally after
`bold`, `dim`, `italic`, `underline` or `reverse`. With `ansi = true` the terminal's own 16
colours are used and nothing is converted.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.errors import StyleSyntaxError
from rich.style import Style
from textual.theme import Theme as TextualTheme

from cockpit.lab import template

SURFACES = ("background", "border", "focus", "text")
"""Keys that Textual itself needs."""
KEYS = (
    *SURFACES,
    "muted",
    "heading",
    "live",
    "yours",
    "best",
    "kept",
    "discarded",
    "borderline",
    "crashed",
    "invalid",
    "stopped",
    "queued",
    "running",
    "curve",
    "base",
    "added",
    "removed",
    "warning",
    "error",
    "cursor",
)
"""What every theme gives a colour for."""
PLAIN = {
    "muted": "dim",
    "heading": "bold",
    "live": "bold",
    "yours": "bold underline",
    "best": "bold",
    "kept": "bold",
    "discarded": "dim",
    "stopped": "dim",
    "queued": "dim",
    "base": "dim",
    "warning": "bold",
    "error": "bold",
    "cursor": "reverse",
}
"""Attributes in place of colours for NO_COLOR (https://no-color.org)."""


class ThemeError(Exception):
    """A theme file can't be used; the message names file and line."""


@dataclass(frozen=True, slots=True)
class Theme:
    """The colours of the screen."""

    name: str
    dark: bool
    ansi: bool
    styles: Mapping[str, Style]

    def style(self, key: str) -> Style:
        """Return the style of a palette key; an unknown or empty one is plain."""
        return self.styles.get(key, PLAIN_STYLE)

    @property
    def ground(self) -> Style:
        """Return what lies below every span: the text's colour on the background's."""
        return Style(color=self.style("text").color, bgcolor=self.style("background").color)

    def textual(self) -> TextualTheme:
        """Return the same for Textual's own widgets."""
        ink = {key: self._colour(key) for key in KEYS}
        return TextualTheme(
            name=self.name,
            dark=self.dark,
            ansi=self.ansi,
            primary=ink["focus"],
            secondary=ink["muted"],
            accent=ink["live"],
            warning=ink["warning"],
            error=ink["error"],
            success=ink["kept"],
            foreground=ink["text"],
            background=ink["background"],
            surface=ink["background"],
            panel=ink["background"],
            boost=ink["background"],
            variables={
                "ansi-background": "ansi_black" if self.dark else "ansi_white",
                "ansi-foreground": "ansi_white" if self.dark else "ansi_black",
                "pane-border": ink["border"],
                "pane-title": ink["text"],
                "pane-note": ink["muted"],
                "pane-focus": ink["focus"],
                "scrollbar": ink["border"],
                "scrollbar-hover": ink["focus"],
                "scrollbar-active": ink["focus"],
                "scrollbar-background": ink["background"],
                "scrollbar-background-hover": ink["background"],
                "scrollbar-background-active": ink["background"],
                "scrollbar-corner-color": ink["background"],
            },
        )

    def _colour(self, key: str) -> str:
        colour = self.style(key).color
        if colour is None or colour.is_default:
            return "ansi_default"
        if colour.triplet is not None:
            return colour.triplet.hex
        return f"ansi_{colour.name}"


PLAIN_STYLE = Style()


def load(path: Path) -> Theme:
    """Return the theme in a file; raises `ThemeError` that names file and line."""
    try:
        text = path.read_text(encoding="utf-8")
        content = tomllib.loads(text)
    except (OSError, UnicodeDecodeError) as error:
        raise ThemeError(f"{path.name}: {error}") from error
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"line (\d+)", str(error))
        line = found[1] if found else str(text.count("\n") + 1)
        raise ThemeError(f"{path.name} line {line}: {error}") from error
    colours = content.get("colours")
    if not isinstance(colours, dict):
        raise ThemeError(f"{path.name} line 1: there is no table [colours]")
    styles = {}
    for key, value in colours.items():
        if key not in KEYS:
            raise ThemeError(f"{_where(path, text, key)}: unknown colour {key}")
        try:
            styles[key] = Style.parse(str(value))
        except StyleSyntaxError as error:
            raise ThemeError(f"{_where(path, text, key)}: {key}: {error}") from error
    missing = [key for key in KEYS if key not in styles]
    if missing:
        raise ThemeError(f"{path.name} line {text.count(chr(10))}: no colour for {missing[0]}")
    ansi = content.get("ansi") is True
    if not ansi and any(styles[key].color is None for key in SURFACES):
        raise ThemeError(f"{path.name}: background, border, focus and text need a colour")
    return Theme(path.stem, content.get("dark") is not False, ansi, styles)


def _where(path: Path, text: str, key: str) -> str:
    for number, line in enumerate(text.splitlines(), 1):
        if re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*=", line):
            return f"{path.name} line {number}"
    return path.name


def plain() -> Theme:
    """Return the theme for NO_COLOR: attributes only."""
    return Theme("plain", True, True, {key: Style.parse(PLAIN.get(key, "")) for key in KEYS})


def themes_directory() -> Path:
    """Return where the themes lie: in the wheel, or at the top of a checkout."""
    return template.directory() / "themes"


def preferred_theme(environment: dict[str, str]) -> str:
    """Return the theme for a terminal: COCKPIT_THEME, else by what its background says."""
    chosen = environment.get("COCKPIT_THEME")
    if chosen:
        return chosen
    # Set by rxvt, Konsole and others as `foreground;background`; 7 and 15 are white.
    return "light" if environment.get("COLORFGBG", "").endswith((";7", ";15")) else "dark"


class Themes:
    """All themes of a directory; `changed` looks again."""

    def __init__(self, directory: Path) -> None:
        """Read what is there; a broken file is left out and told by `problem`."""
        self.directory = directory
        self.problem: str | None = None
        self._themes: dict[str, Theme] = {}
        self._times: dict[Path, int] = {}
        self.changed()

    def names(self) -> list[str]:
        """Return the names, in order."""
        return sorted(self._themes)

    def get(self, name: str) -> Theme:
        """Return a theme by name; the plain one where there is none of that name."""
        return self._themes.get(name) or plain()

    def changed(self) -> set[str]:
        """Read files that changed since the last look; return the names of those.

        The old theme stays where a file is broken; `problem` then names file and line.
        """
        names: set[str] = set()
        for path in sorted(self.directory.glob("*.toml")):
            try:
                modified = path.stat().st_mtime_ns
            except OSError:
                continue
            if self._times.get(path) == modified:
                continue
            self._times[path] = modified
            try:
                self._themes[path.stem] = load(path)
            except ThemeError as error:
                self.problem = f"theme {error}"
                continue
            self.problem = None
            names.add(path.stem)
        return names
