"""Around the screen: being a good guest of a terminal, and the last word after leaving it.

Textual reads its environment when it is imported, so that this module imports the app only
when the screen is wanted.
"""

import contextlib
import gc
import os
from collections.abc import Callable, MutableMapping, Sequence

from cockpit.lab.lab import Lab
from cockpit.ui.card import CardLine, StartCard
from cockpit.ui.client import Client

Fact = tuple[str, str, str]
"""A line of the card: label, value, and a warning or nothing."""
SSH_SETTINGS = {
    "TEXTUAL_FPS": "15",
    "TEXTUAL_ANIMATIONS": "none",
    "TEXTUAL_SMOOTH_SCROLL": "0",
}
"""What a thin line is spared; a setting that is there already wins."""


def be_a_good_guest(environment: MutableMapping[str, str]) -> None:
    """Spare a connection over ssh; must run before textual is imported."""
    if "SSH_CONNECTION" in environment:
        for name, value in SSH_SETTINGS.items():
            environment.setdefault(name, value)


def run_screen(lab: Lab, options: Sequence[str], facts: Callable[[], Sequence[Fact]]) -> int:
    """Show the screen until the person leaves; return the exit code.

    `options` go to `start` when a night is begun from the screen. `facts` is asked, before
    the terminal is touched, only in a fresh lab: what a first night would be, shown as a card;
    what it raises is raised here. Needs a terminal: who calls looks for one first.
    """
    be_a_good_guest(os.environ)
    # Collecting while modules load costs a sixth of the time to the first paint; the app
    # switches it on again when that is done.
    gc.disable()
    from cockpit.ui.app import CockpitApp
    from cockpit.ui.driver import QuietDriver

    client = Client(lab)
    card = None
    if client.snapshot().engine.state == "fresh":
        card = StartCard(f"A first night in {lab.name}", tuple(CardLine(*f) for f in facts()))
    client.keep_off_training_cores()
    app = CockpitApp(client, options, card, driver_class=QuietDriver)
    try:
        app.run()
    finally:
        gc.enable()
        client.close()
    with contextlib.suppress(OSError):  # the terminal may be gone: nobody is there to be told
        print(last_word(client.engine_state), flush=True)
    return app.return_code or 0


def last_word(state: str) -> str:
    """Return what a person should know who has just left."""
    if state in {"running", "paused"}:
        paused = " (it is paused)" if state == "paused" else ""
        return f"the night goes on{paused}: `cockpit` attaches again, `cockpit stop` ends it"
    if state == "dead":
        return "the engine died: `cockpit start` repairs and goes on"
    return "nothing runs: `cockpit start` begins a night"
