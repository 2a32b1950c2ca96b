"""An app whose colours come from theme files that are read again when they change."""

import os
import time

from textual.app import App
from textual.driver import Driver

from cockpit.ui.theme import Theme, Themes, plain, preferred_theme, themes_directory

LOOK_SECONDS = 2.0
"""How often the theme's file is looked at."""


class ThemedApp(App[None]):
    """Has a `palette`, follows its file, and changes to the next one."""

    def __init__(self, theme: str | None, driver_class: type[Driver] | None) -> None:
        """Take the theme asked for, or the one that suits the terminal; none with NO_COLOR."""
        colours = "NO_COLOR" not in os.environ
        super().__init__(driver_class=driver_class, ansi_color=None if colours else True)
        self.themes = Themes(themes_directory())
        self._looked_at = time.monotonic()
        self.palette: Theme = plain()
        if colours:
            self.palette = self.themes.get(theme or preferred_theme(dict(os.environ)))
        self.register_theme(self.palette.textual())
        self.set_reactive(App.theme, self.palette.name)
        self.stylesheet.set_variables(self.get_css_variables())

    def action_next_theme(self) -> None:
        """Change to the next theme."""
        names = self.themes.names()
        if not names or self.palette.name == "plain":
            return
        place = names.index(self.palette.name) if self.palette.name in names else -1
        self._use_theme(names[(place + 1) % len(names)])
        self.say(f"theme: {self.palette.name}")

    def say(self, text: str, *, good: bool = True) -> None:
        """Show a line for the person; an app with a place of its own for such lines uses that."""
        self.notify(text, severity="information" if good else "warning", markup=False)

    def follow_theme(self) -> None:
        """Use the theme's file anew where it has changed; say what is wrong with it."""
        if time.monotonic() - self._looked_at < LOOK_SECONDS:
            return
        self._looked_at = time.monotonic()
        problem = self.themes.problem
        if self.palette.name in self.themes.changed():
            self._use_theme(self.palette.name)
        if self.themes.problem is not None and self.themes.problem != problem:
            self.say(self.themes.problem, good=False)

    def _use_theme(self, name: str) -> None:
        self.palette = self.themes.get(name)
        self.register_theme(self.palette.textual())
        if self.theme == name:
            self._watch_theme(name)
        self.theme = name
        for screen in self.screen_stack:
            screen.refresh(layout=True)
