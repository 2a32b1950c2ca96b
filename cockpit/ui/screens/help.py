"""`?`: the keys that work now, from the live key map, and what the words mean."""

from collections.abc import Iterable
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen, Screen

from cockpit.ui.commands import COMMANDS
from cockpit.ui.lines import TextLines
from cockpit.ui.text import Line, fit, wrap
from cockpit.ui.words import GLOSSARY, GLYPHS, status_word

KeyHelp = tuple[str, str]
"""A key as it is shown and what it does."""


def live_keys(screen: Screen[Any]) -> list[KeyHelp]:
    """Return the keys that work on a screen now, those that do the same together."""
    keys: dict[str, list[str]] = {}
    for _, binding, _, _ in screen.active_bindings.values():
        # Textual's own keys for scrolling stand in the way of ours.
        if binding.description and not binding.action.startswith(("scroll_", "page_")):
            does = binding.description.lower()
            keys.setdefault(does, []).append(screen.app.get_key_display(binding))
    return [(" ".join(keys[does]), does) for does in keys]


class HelpScreen(ModalScreen[None]):
    """Keys and words."""

    DEFAULT_CSS = """
    HelpScreen { align: center middle; background: $background; }
    HelpScreen TextLines {
        width: 100%; max-width: 84; height: 100%; border: round $pane-focus; padding: 0 1;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark", "dismiss", "close", key_display="?")
    ]

    def __init__(self, keys: Iterable[KeyHelp]) -> None:
        super().__init__()
        self._keys = list(keys)

    def compose(self) -> ComposeResult:
        """Lay out."""
        view = _HelpLines(self._keys)
        view.border_title = "Help  (? closes)"
        yield view


class _HelpLines(TextLines):
    can_focus = True

    def __init__(self, keys: list[KeyHelp]) -> None:
        super().__init__("help")
        self._keys = keys

    def relayout(self) -> None:
        self._lines = help_lines(self._keys, self.line_width)


def help_lines(keys: list[KeyHelp], width: int) -> list[Line]:
    """Return the page."""
    lines: list[Line] = [(("Keys", "heading"),)]
    lines += [((fit(f"  {key}", 14), "live"), (does, "")) for key, does in keys]
    lines += [(), (("In the agent pane", "heading"),)]
    lines += _explained(COMMANDS, 19, width)
    lines += [(), (("Signs in the history", "heading"),)]
    signs = [f"{sign} {status_word(status)}" for status, sign in GLYPHS.items()]
    lines += [((f"  {line}", ""),) for line in wrap("   ".join([*signs, "★ best"]), width - 2)]
    lines += [(), (("Words", "heading"),)]
    return lines + _explained(GLOSSARY, 14, width)


def _explained(words: Iterable[tuple[str, str]], cells: int, width: int) -> list[Line]:
    """Return words in a column and what they mean beside it."""
    lines: list[Line] = []
    for word, meaning in words:
        first, *rest = wrap(meaning, max(10, width - cells))
        lines.append(((fit(f"  {word}", cells), "live"), (first, "")))
        lines += [((" " * cells + more, ""),) for more in rest]
    return lines
