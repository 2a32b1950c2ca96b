"""What a new lab starts from: the brief, the trainer and the themes that travel with cockpit."""

from pathlib import Path

import cockpit

PARTS = ("program.md", "trainer", "themes")


def directory() -> Path:
    """Return the directory that holds `program.md`, `trainer/` and `themes/`.

    In an installed wheel they lie inside the package, in a checkout beside it.
    """
    package = Path(cockpit.__file__).resolve().parent
    packed = package / "_template"
    return packed if packed.is_dir() else package.parent
