"""A person's own train.py: which change it is of the present base, and whether it was tried.

A whole text says nothing of what it was made from, and a queue outlives its base. So it is kept
as the edits that make it of its origin: of the experiment whose text was opened in an editor, of
the text that the tag began with where it still leaves its constants to the preset, else of the
present base.
"""

import ast
from dataclasses import dataclass

from cockpit.core import guard
from cockpit.core.applying import ApplyError, applied
from cockpit.core.constants import ConstantsError, Value, read, rewrite
from cockpit.core.edits import diff_lines, difference
from cockpit.core.experiment import Experiment, Proposal, Status
from cockpit.engine.known import KnownTexts, blob_of
from cockpit.engine.outcomes import DecisionError, Outcomes
from cockpit.lab.repo import TRAIN_PY, Repo
from cockpit.lab.tree import Tree
from cockpit.lab.writing import EngineJournal


@dataclass(frozen=True, slots=True)
class OwnText:
    """A text as a change of the present base."""

    base: Experiment
    proposal: Proposal
    train_py: str
    """What it is on the present base."""


class OwnTexts:
    """Makes proposals of texts, for the present tag."""

    def __init__(self, journal: EngineJournal, repo: Repo, tree: Tree, outcomes: Outcomes) -> None:
        self._journal = journal
        self._repo = repo
        self._tree = tree
        self._outcomes = outcomes
        self._known: dict[str, KnownTexts] = {}

    def base(self) -> Experiment:
        """Return the present base; raises `DecisionError` while there is none."""
        tag = self._outcomes.present_tag()
        base = self._tree.base(tag)
        if base is None or base.commit is None:
            raise DecisionError("there is no base yet: the baseline of the tag is not measured")
        return base

    def text_of(self, own: Experiment) -> str | None:
        """Return the train.py of an experiment, None where its change does not apply."""
        if own.commit is not None:
            return self._repo.read_text(own.commit, TRAIN_PY)
        proposal = self._journal.proposal(own.id)
        parent = self._tree.experiments.get(own.parent) if own.parent is not None else None
        if parent is None or parent.commit is None:
            return proposal.train_py
        try:
            return applied(proposal, self._repo.read_text(parent.commit, TRAIN_PY))
        except ApplyError:
            return None

    def change_of(self, train_py: str, origin: int | None) -> OwnText:
        """Return a text as a change of the present base; `origin` is what it was made from.

        Raises `DecisionError` where it is none, or does not apply.
        """
        if _is_too_long(train_py):  # before it is compared with anything
            raise DecisionError(f"guard: {guard.check(train_py)}")
        edits = difference(self._made_from(train_py, origin), train_py)
        if not edits:
            raise DecisionError("it changes nothing: this is the text that it was made from")
        constants = _moved(self._made_from(train_py, origin), train_py)
        change = {"constants": constants} if constants else {"edits": edits}
        return self.on_base(Proposal("", "", **change))

    def size_of(self, train_py: str, origin: int | None) -> str:
        """Return how many lines a text adds to what it was made from and takes away, `+12 −3`."""
        lines = diff_lines(difference(self._made_from(train_py, origin), train_py))
        added, gone = (sum(line.startswith(sign) for line in lines) for sign in "+-")
        return f"+{added} −{gone}"

    def _made_from(self, train_py: str, origin: int | None) -> str:
        base = self.base()
        text = self.text_of(base) or ""
        made_from = self._tree.experiments.get(origin) if origin is not None else None
        if made_from is not None and made_from.id != base.id:
            text = self.text_of(made_from) or ""
        elif _leaves_it_to_the_preset(train_py) and not _leaves_it_to_the_preset(text):
            text = self._before_the_preset(base.tag) or text
        return text

    def on_base(self, proposal: Proposal) -> OwnText:
        """Return a change as it is on the present base; raises `DecisionError`."""
        base = self.base()
        try:
            text = applied(proposal, self.text_of(base) or "")
        except ApplyError as error:
            line = str(error).partition("\n")[0]
            raise DecisionError(
                f"it does not apply to the present base #{base.id}: {line}; "
                "`cockpit try --edit` begins from the base"
            ) from error
        if refusal := guard.check(text):
            raise DecisionError(f"guard: {refusal}")
        return OwnText(base, proposal, text)

    def same_as(self, train_py: str) -> Experiment | None:
        """Return the oldest experiment of the present tag that has this text already."""
        tag = self._outcomes.present_tag()
        if tag not in self._known:
            self._known[tag] = KnownTexts(self._repo, self._tree, tag, self.text_of)
        self._known[tag].refresh()
        number = self._known[tag].find(train_py)
        return self._tree.experiments.get(number) if number is not None else None

    def waiting_with(self, train_py: str) -> Experiment | None:
        """Return an experiment of the present tag with this text that has no verdict yet."""
        tag = self._outcomes.present_tag()
        still = self._tree.with_status(tag, Status.QUEUED, Status.RUNNING)
        return next((e for e in still if self.text_of(e) == train_py), None)

    def is_new(self, train_py: str) -> bool:
        """Tell whether a text of the working tree is one that was never tried, and whole."""
        if _is_too_long(train_py):
            return False
        try:
            ast.parse(train_py)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return False
        return train_py != self._made_from(train_py, None) and not self._any_tag_has(train_py)

    def _any_tag_has(self, train_py: str) -> bool:
        commits = [e.commit for e in self._tree.experiments.values() if e.commit]
        names = self._repo.object_names([f"{commit}:{TRAIN_PY}" for commit in commits])
        return blob_of(train_py) in names

    def _before_the_preset(self, tag: str) -> str | None:
        """Return the committed text that a baseline was made of by filling in its preset.

        That of the tag, else of the newest one that has such a text.
        """
        tags = sorted(self._journal.tags(), key=lambda t: (t.name == tag, t.created_at))
        for row in reversed(tags):
            if commit := row.options.get("parent_commit"):
                text = self._repo.read_text(str(commit), TRAIN_PY)
                if _leaves_it_to_the_preset(text):
                    return text
        return None


def _is_too_long(train_py: str) -> bool:
    return len(train_py.encode(errors="surrogatepass")) > guard.LARGEST_BYTES


def _moved(old: str, new: str) -> dict[str, Value] | None:
    """Return the constants that are all that differs, which then apply to any base."""
    try:
        before, after = read(old), read(new)
        moved = {
            name: constant.value
            for name, constant in after.items()
            if name in before and before[name].value != constant.value
        }
        return moved if moved and rewrite(old, moved) == new else None
    except ConstantsError:
        return None


def _leaves_it_to_the_preset(train_py: str) -> bool:
    try:
        preset = read(train_py).get("PRESET")
    except ConstantsError:
        return False
    return preset is not None and preset.value == "auto"
