"""What a proposal must pass before it may take a slot: the guard's reading, then the preflight.

Both cost seconds on a core that no training uses; what they refuse would have cost a whole run.
"""

import logging
from dataclasses import dataclass
from pathlib import Path

from cockpit.core import guard
from cockpit.engine.opening import Opening
from cockpit.engine.running import Slot
from cockpit.executors.base import ExecutorError
from cockpit.executors.preflight import PreflightOrder, preflight

log = logging.getLogger("cockpit.engine")


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found of a proposal's train.py."""

    refusal: str | None = None
    """Why it can't be run, one sentence that names the check; None where it can."""
    advice: tuple[str, ...] = ()
    """What its author may want to know all the same."""


class Checking:
    """Checks texts for one night; safe in a worker thread."""

    def __init__(self, opening: Opening, slot: Slot, python: str, place: Path) -> None:
        """`slot` says for which device and in which sandbox; the preflight works in `place`."""
        self._opening = opening
        self._slot = slot
        self._python = python
        self._place = place

    def check(self, train_py: str) -> Checked:
        """Return what the checks find; takes seconds."""
        if refusal := guard.check(train_py):
            return Checked(f"guard: {refusal}")
        order = PreflightOrder(
            train_py=train_py,
            device=self._slot.device,
            sandbox=self._slot.sandbox,
            python=self._python,
            trainer_directory=self._opening.trainer,
            work_directory=self._place,
            sequence_length=self._opening.setup.sequence_length,
            vocab_size=self._opening.setup.vocab_size,
            seed=self._opening.seed,
        )
        try:
            found = preflight(order)
        except ExecutorError as error:
            # A fault of the machine is no fault of the proposal: the run itself will tell.
            log.error("the preflight could not be started: %s", error)
            return Checked(advice=(f"no preflight: {error}",))
        return Checked(None if found.ok else f"preflight: {found.reason}", found.advice)
