"""Where the panes lie: side by side, or one at a time where the terminal is narrow."""

WIDE_COLUMNS = 100
BREAKPOINTS: list[tuple[int, str]] = [(0, "-narrow"), (WIDE_COLUMNS, "-wide")]
PANES = {"1": "history", "2": "agent", "3": "gpu"}
PANE_NAMES = {"1": "History", "2": "Agent", "3": "GPU"}

CSS = """
#panes { height: 1fr; }
* { border-title-color: $pane-title; border-subtitle-color: $pane-note; }
#history { width: 6fr; height: 1fr; }
#right { width: 5fr; height: 1fr; }
#gpu { height: 11fr; }
#agent { height: 9fr; }
.-wide TabLine { display: none; }
.-narrow #history, .-narrow #right, .-narrow #gpu, .-narrow #agent { display: none; }
.-narrow.-show-history #history { display: block; }
.-narrow.-show-gpu #right, .-narrow.-show-gpu #gpu { display: block; }
.-narrow.-show-agent #right, .-narrow.-show-agent #agent { display: block; }
.-narrow #history { width: 100%; }
.-narrow #right { width: 100%; }
"""


def width_class(columns: int) -> str:
    """Return the class of a terminal of so many columns."""
    return next(name for least, name in reversed(BREAKPOINTS) if columns >= least)


def name_of(pane: str) -> str:
    """Return what a pane is called on its tab."""
    return next(PANE_NAMES[key] for key, known in PANES.items() if known == pane)
