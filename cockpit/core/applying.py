"""A proposal becomes a train.py: its change applied to the text of a base."""

from cockpit.core.constants import ConstantsError, rewrite
from cockpit.core.edits import EditError, apply
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
