"""Any coding agent on the command line as a proposer: a repository for it, its edit for us.

The agent gets a fresh repository with the base and the task (`exporting`), in a machine where
neither lab nor corpora nor GPU are (`confining`). It works as it likes. What counts in the end
is `trainer/train.py` and what it says in `PROPOSAL.md`; everything else is discarded and told.
The next attempt begins with the base again, and with what became of the last.
"""

import argparse
import contextlib
from pathlib import Path

from cockpit.proposers.agent_process import EngineGoneError
from cockpit.proposers.base import Answer, Hear, Order, ProposerError, serve
from cockpit.proposers.errand import Errand
from cockpit.proposers.keys import KeyRing, KeysError
from cockpit.proposers.privacy import not_dumpable, redact_standard_error
from cockpit.proposers.readiness import Options, ready
from cockpit.proposers.rooms import private_rooms, sweep

FIRST_TO_GO = "800"
"""Of 1000: how soon the kernel ends a process where memory runs out."""


class Commander:
    """Sends agents on errands; holds the keys."""

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring

    def handle(self, order: Order, hear: Hear) -> Answer:
        """Answer an order."""
        options = Options.from_json(order.options)
        if options.keys_file is not None:
            try:
                self._ring.refresh(options.keys_file)
            except KeysError as error:
                raise ProposerError(str(error), "key") from error
        agent = ready(options)
        if order.briefing is None or order.kind in ("about", "probe"):
            return Answer(text=agent.says)
        with private_rooms() as rooms:
            errand = Errand(agent, order.briefing, rooms, self._ring, hear)
            return errand.answer() if order.kind == "ask" else errand.proposal()


def main() -> None:
    """Be the proposer's process."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cpus", default="", help="cores it may use")
    cpus = [int(cpu) for cpu in parser.parse_args().cpus.split(",") if cpu]
    _be_first_to_go()
    not_dumpable()
    ring = KeyRing()
    redact_standard_error(ring.redact)
    sweep()
    with contextlib.suppress(EngineGoneError):
        serve(Commander(ring).handle, cpus)


def _be_first_to_go() -> None:
    """Where memory runs out, end an agent before a training (Linux)."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(FIRST_TO_GO)


if __name__ == "__main__":
    main()
