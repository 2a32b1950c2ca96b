"""The command line: which verb, and what becomes of what goes wrong. The verbs are in `verbs`."""

import argparse
import os
import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path

from cockpit import inbox
from cockpit.arguments import Verb, parser
from cockpit.lab import lab as labs
from cockpit.lab.connection import JournalError
from cockpit.lab.lab import LabError, NoLabError, SettingsError
from cockpit.verbs import carrying, looking, night
from cockpit.verbs.codes import DONE, REFUSED, UNKNOWN, USAGE
from cockpit.verbs.typed import lab_of

TICK = "_tick"
"""Not a verb: how the screen, which must not import the engine, has one turn taken."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb and return its exit code; a person gets one line, never a traceback."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    try:
        if words == [TICK]:
            return tick()
        given = parser(VERBS).parse_args(words)
        return int(given.verb(given))
    except NoLabError as error:
        return _fail(error, UNKNOWN)
    except SettingsError as error:
        return _fail(error, USAGE)
    except (LabError, JournalError) as error:
        return _fail(error, REFUSED)
    except BrokenPipeError:
        # The reader of our output has gone (`cockpit log | head`): nothing is left to say.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except sqlite3.Error as error:
        return _fail(
            f"the journal can't be used: {error}; free some space if the disk is full, or move a "
            "damaged journal.db away: `cockpit start` rebuilds it from git",
            REFUSED,
        )
    except OSError as error:
        return _fail(f"{error.filename or 'the system'}: {error.strerror or error}", REFUSED)
    except KeyboardInterrupt:
        return 130


def _fail(error: object, code: int) -> int:
    print(f"cockpit: {error}", file=sys.stderr)
    return code


def command(given: argparse.Namespace) -> int:
    """Drop a command into the inbox and print what became of it."""
    lab = lab_of(given)
    arguments = {name: getattr(given, name) for name in given.carries}
    if "text" in arguments:
        arguments["text"] = " ".join(arguments["text"])
    with inbox.opened(lab) as journal:
        print(inbox.send(lab, journal, given.name, arguments))
    return DONE


def by_hand(given: argparse.Namespace) -> int:
    """Carry out a verb of a person's hand and print what became of it."""
    from cockpit.verbs import by_hand as hand

    print(hand.VERBS[given.hand](given, lab_of(given)))
    return DONE


def ask(given: argparse.Namespace) -> int:
    """Ask the proposer, wait for its answer, and print it."""
    from cockpit import talk

    print(talk.shown(talk.ask(lab_of(given), " ".join(given.text).strip())))
    return DONE


def tick() -> int:
    """Answer what waits in the inbox where no engine does; only the screen calls it."""
    inbox.tick(labs.find(Path.cwd()))
    return DONE


VERBS: dict[str, Verb] = {
    "screen": night.screen,
    "run": night.run,
    "start": night.start,
    "confirm": night.confirm,
    "ablate": night.ablate,
    "command": command,
    "by_hand": by_hand,
    "ask": ask,
    "status": looking.status,
    "log": looking.log,
    "report": looking.morning,
    "show": looking.show,
    "findings": looking.findings,
    "score": looking.score,
    "rejudge": looking.rejudge,
    "key": carrying.key,
    "apply": carrying.apply,
    "import": carrying.import_table,
    "export": carrying.export,
    "init": carrying.init,
    "prepare": carrying.prepare,
    "doctor": carrying.doctor,
}


if __name__ == "__main__":
    raise SystemExit(main())
