"""A proposal becomes a train.py: its change applied to the text of a base."""

from cockpit.core.constants import ConstantsError, Value, read, rewrite
from cockpit.core.edits import EditError, apply, diff_lines
from cockpit.core.experiment import Proposal


class ApplyError(ValueError):
    """A change does not apply to a base, or changes nothing there; the message says why."""


def applied(proposal: Proposal, base_train_py: str) -> str:
    """Return the train.py of a proposal on a base; raises `ApplyError`."""
    if proposal.train_py is not None:
        return proposal.train_py
    try:
        if proposal.edits is not None:
            changed = apply(base_train_py, proposal.edits)
        else:
            changed = rewrite(base_train_py, proposal.constants or {})
    except (ConstantsError, EditError) as error:
        raise ApplyError(str(error)) from error
    if changed == base_train_py:
        raise ApplyError("the base has it already")
    return changed


def changed_constants(proposal: Proposal) -> dict[str, Value] | None:
    """Return the new values of the constants that a proposal changes, where that is all it does.

    Edits that give constants other values are told to the search like its own changes.
    """
    if proposal.edits is None:
        return proposal.constants
    lines = diff_lines(proposal.edits)
    before, after = ([line[1:] for line in lines if line.startswith(sign)] for sign in ("-", "+"))
    try:
        old, new = read("\n".join(before)), read("\n".join(after))
    except ConstantsError:
        return None
    known = len(old) == len(before) and len(new) == len(after) and old.keys() == new.keys()
    return {name: new[name].value for name in new} if known and new else None
