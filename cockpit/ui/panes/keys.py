"""The line at the bottom: the keys that work now, or for a while what became of a command."""

from textual.screen import Screen
from textual.timer import Timer

from cockpit.ui.lines import TextLines
from cockpit.ui.text import Span, clean, width_of, wrap

SAID_LINES = 3
"""So many lines an answer may take: a reason must be read to its end."""
SAY_SECONDS = 8.0
"""An outcome stays this long; a refusal twice as long."""
LAST = ("?", "q", "esc")
WORTH = ("?", "q", "esc", "N", "o", "enter", "a", "r", "Q", "R", "space", "u", "b", "n")
"""Where not all keys have room, these have it first. Where nothing runs, the line on top names
`N`: it must be found here at every width."""


class KeyLine(TextLines):
    """A footer from the live key map."""

    DEFAULT_CSS = "KeyLine { height: 1; width: 1fr; dock: bottom; overflow-y: hidden; }"

    def __init__(self) -> None:
        super().__init__()
        self._saying: tuple[str, str] | None = None
        """A text and its palette key."""
        self._timer: Timer | None = None

    def on_mount(self) -> None:
        """Follow the key map."""
        self.screen.bindings_updated_signal.subscribe(self, self._bindings_changed)

    def _bindings_changed(self, screen: Screen[object]) -> None:
        self.relayout()
        self.refresh_changed()

    def say(self, text: str, *, good: bool) -> None:
        """Show what became of something, for a while."""
        self._saying = clean(text, 400), "live" if good else "error"
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(SAY_SECONDS * (1 if good else 2), self._said)
        self.relayout()
        self.refresh_changed()

    def _said(self) -> None:
        self._saying = self._timer = None
        self.relayout()
        self.refresh_changed()

    def relayout(self) -> None:
        """Fill the width with as many keys as it holds; help and leaving are never left out."""
        if self._saying is not None:
            text, key = self._saying
            lines = wrap(text, max(8, self.line_width - 2))[:SAID_LINES]
            self._lines = [((" ", ""), (line, key)) for line in lines]
            self.styles.height = len(lines)
            return
        self.styles.height = 1
        shown: list[tuple[Span, ...]] = []
        for active in self.screen.active_bindings.values():
            binding = active.binding
            key = self.app.get_key_display(binding)
            spans: tuple[Span, ...] = (key, "heading"), (f" {binding.description}  ", "muted")
            if binding.show and active.enabled and spans not in shown:
                shown.append(spans)
        room = self.line_width - 1
        chosen = set()
        for worthy in sorted(shown, key=_worth):
            room -= width_of(worthy)
            if room < 0:
                break
            chosen.add(worthy)
        # Chosen by worth, but in the order of the key map: a key stands where it stood before.
        last = [s for s in shown if s[0][0] in LAST]
        rest = [s for s in shown if s in chosen and s not in last]
        self._lines = [((" ", ""), *(span for spans in (*rest, *last) for span in spans))]


def _worth(spans: tuple[Span, ...]) -> int:
    """Return the place of a key among those there is room for; the first is never left out."""
    key = spans[0][0]
    return WORTH.index(key) if key in WORTH else len(WORTH)
