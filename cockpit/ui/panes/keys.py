"""The line at the bottom: the keys that work now, or for a while what became of a command."""

from textual.screen import Screen
from textual.timer import Timer

from cockpit.ui.lines import TextLines
from cockpit.ui.text import Line, Span, clean, width_of

SAY_SECONDS = 8.0
"""An outcome stays this long; a refusal twice as long."""


class KeyLine(TextLines):
    """A footer from the live key map."""

    DEFAULT_CSS = "KeyLine { height: 1; width: 1fr; dock: bottom; overflow-y: hidden; }"

    def __init__(self) -> None:
        super().__init__()
        self._saying: Line | None = None
        self._timer: Timer | None = None

    def on_mount(self) -> None:
        """Follow the key map."""
        self.screen.bindings_updated_signal.subscribe(self, self._bindings_changed)

    def _bindings_changed(self, screen: Screen[object]) -> None:
        self.relayout()
        self.refresh_changed()

    def say(self, text: str, *, good: bool) -> None:
        """Show what became of something, for a while."""
        self._saying = ((" ", ""), (clean(text, 400), "live" if good else "error"))
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
            self._lines = [self._saying]
            return
        shown: list[tuple[Span, ...]] = []
        told: set[str] = set()
        for active in self.screen.active_bindings.values():
            does = active.binding.description
            if active.binding.show and active.enabled and does not in told:
                told.add(does)
                key = self.app.get_key_display(active.binding)
                shown.append(((key, "heading"), (f" {does}  ", "muted")))
        last = [s for s in shown if s[0][0] in {"?", "q"}]
        # Where nothing runs, the line on top names `b`: it must be found here at every width.
        rest = sorted((s for s in shown if s not in last), key=lambda s: s[0][0] != "b")
        room = self.line_width - 1 - sum(width_of(spans) for spans in last)
        line: list[Span] = [(" ", "")]
        for spans in rest:
            room -= width_of(spans)
            if room < 0:
                break
            line += spans
        self._lines = [tuple(line) + tuple(span for spans in last for span in spans)]
