"""What was typed: which lab, which settings, which options."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cockpit.arguments import NIGHT_OPTIONS
from cockpit.lab import lab as labs
from cockpit.lab.lab import Lab

if TYPE_CHECKING:
    from cockpit.lab.settings import Settings


def lab_of(given: argparse.Namespace) -> Lab:
    lab = labs.find(Path(given.lab) if given.lab else Path.cwd())
    labs.place_state(lab, Path(given.state_dir) if given.state_dir else None)
    return lab


def settings_of(given: argparse.Namespace, lab: Lab) -> "Settings":
    from cockpit.lab.settings import load

    settings = load(lab.root / "cockpit.toml", options_of(given))
    labs.place_state(lab, settings.state_dir)
    return settings


def typed_of(given: argparse.Namespace) -> "Settings":
    from cockpit.lab.settings import load

    return load(None, options_of(given))


def options_of(given: argparse.Namespace) -> dict[str, Any]:
    typed = {name: getattr(given, name, None) for name in NIGHT_OPTIONS}
    corpus = typed["corpus"]
    if corpus and corpus.startswith("local:"):
        typed["corpus"] = f"local:{Path(corpus.removeprefix('local:')).expanduser().resolve()}"
    # Not `in`: 0 equals False, and 0 dollars or seed 0 are options like any other.
    return {n: value for n, value in typed.items() if value is not None and value is not False}


def option_words(given: argparse.Namespace) -> list[str]:
    """Return the options as they are typed again for `cockpit start`."""
    words: list[str] = []
    for name, value in options_of(given).items():
        flag = "--from" if name == "start_from" else "--" + name.replace("_", "-")
        words += [flag] if value is True else [flag, str(value)]
    return words
