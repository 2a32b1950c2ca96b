"""Which texts have been tried: an experiment of the same tree as another one is no experiment."""

import hashlib
from collections.abc import Callable

from cockpit.core.experiment import Experiment, Status
from cockpit.lab.repo import TRAIN_PY, Repo
from cockpit.lab.tree import Tree

AGAIN = (Status.STOPPED,)
"""What was stopped has not been measured: it may come back."""


class KnownTexts:
    """Finds the experiment that has a text already.

    All experiments of a tag share every other file, so that their git trees are the same
    exactly where their train.py is the same blob.
    """

    def __init__(
        self, repo: Repo, tree: Tree, tag: str, text_of: Callable[[Experiment], str | None]
    ) -> None:
        """`text_of` gives the text of an experiment that has no commit yet, where it has one."""
        self._repo = repo
        self._tree = tree
        self._tag = tag
        self._text_of = text_of
        self._blobs: dict[int, tuple[str, str]] = {}
        self._experiments: dict[str, int] = {}

    def refresh(self) -> None:
        """Take in what is new in the tree; only the engine's own thread calls this."""
        own = self._tree.of(self._tag).values()
        fresh = [e for e in own if self._blobs.get(e.id, ("", ""))[0] != _state(e)]
        committed = [e for e in fresh if e.commit]
        blobs = self._repo.object_names([f"{e.commit}:{TRAIN_PY}" for e in committed])
        for e, blob in zip(committed, blobs, strict=True):
            self._blobs[e.id] = (_state(e), blob or "")
        for e in fresh:
            if not e.commit:
                text = self._text_of(e)
                self._blobs[e.id] = (_state(e), blob_of(text) if text is not None else "")
        self._experiments = {
            self._blobs[e.id][1]: e.id for e in reversed(list(own)) if e.status not in AGAIN
        }

    def find(self, train_py: str) -> int | None:
        """Return the oldest experiment with this text, or None; any thread may ask."""
        return self._experiments.get(blob_of(train_py))


def _state(own: Experiment) -> str:
    """Return what an experiment's text depends on."""
    return own.commit or f"on {own.parent}"


def blob_of(text: str) -> str:
    """Return the name that git gives a file of this text."""
    content = text.encode("utf-8", "backslashreplace")
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
