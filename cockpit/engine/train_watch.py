"""Notices a train.py of the working tree that was never tried, and offers it as an experiment.

Once for each text, also one that was written while no engine ran; never for one that an
experiment has already, such as after `cockpit apply`.
"""

from cockpit.core.guard import LARGEST_BYTES
from cockpit.engine.file_watch import FileWatch
from cockpit.engine.known import blob_of
from cockpit.engine.outcomes import DecisionError
from cockpit.engine.own_texts import OwnTexts
from cockpit.lab.lab import Lab
from cockpit.lab.repo import TRAIN_PY
from cockpit.lab.tree import Tree


class TrainWatch:
    """Looks at the working tree's train.py at the start, and whenever it was written."""

    def __init__(self, lab: Lab, files: FileWatch, tree: Tree, texts: OwnTexts) -> None:
        """`files` watches it."""
        self._path = lab.root / TRAIN_PY
        self._offered = lab.state / "offered"
        self._files = files
        self._tree = tree
        self._texts = texts
        self._is_due = True
        self._looked_at = -1

    def news(self) -> str | None:
        """Return an offer of what is new, in words; None where nothing is."""
        if self._files.touched(self._path):
            self._is_due, self._looked_at = True, -1
        if not self._is_due or self._looked_at == self._tree.revision:
            return None
        self._looked_at = self._tree.revision
        try:
            self._texts.base()
        except DecisionError:
            return None  # looked at again when there is one
        self._is_due = False
        text = self._read()
        if text is None or self._was_offered(text) or not self._texts.is_new(text):
            return None
        return self._offer(text)

    def _read(self) -> str | None:
        try:
            with self._path.open("rb") as file:
                return file.read(LARGEST_BYTES + 1).decode("utf-8")
        except (OSError, UnicodeDecodeError):
            return None

    def _offer(self, text: str) -> str | None:
        size = self._texts.size_of(text, None)
        changed = f"{TRAIN_PY} has changed in the working tree ({size})"
        how = f"`cockpit try --file {TRAIN_PY}` makes an experiment of it"
        try:
            own = self._texts.change_of(text, None)
            if self._texts.same_as(own.train_py) is not None:
                return None
        except DecisionError as error:
            how = f"as it is it can't be tried: {error}"
        with self._offered.open("a", encoding="ascii") as file:
            file.write(f"{blob_of(text)}\n")
        return f"{changed}: {how}"

    def _was_offered(self, text: str) -> bool:
        try:
            return blob_of(text) in self._offered.read_text(encoding="ascii").split()
        except OSError:
            return False
