"""Verbs about those who have the ideas: a question, the findings, a key."""

import getpass
import os
import stat
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cockpit import inbox
from cockpit.lab.lab import Lab, LabError
from cockpit.lab.looking import LookingJournal
from cockpit.lab.rundir import plain_text

ASK_SECONDS = 300.0
"""How long a question waits for its answer; it stands longer than that."""
LOOK_SECONDS = 0.1
NO_ANSWER = "no answer: "
"""How an answer begins that is none."""
TRIES = 5
"""How often program.md is merged anew because somebody wrote it meanwhile."""
STANDS = "the question stands: its answer comes in the agent pane (`cockpit`)"


# ---- a question --------------------------------------------------------------------------------


def ask(lab: Lab, text: str) -> str:
    """Ask the proposer and return its answer; raises `LabError` where none comes in time."""
    with inbox.opened(lab) as journal:
        known = len(journal.exchanges())
        try:
            inbox.send(lab, journal, "ask", {"text": text})
            return _await_answer(lab, journal, known, text)
        except KeyboardInterrupt:
            print(f"\ncockpit: {STANDS}", file=sys.stderr)
            raise


def _await_answer(lab: Lab, journal: LookingJournal, known: int, text: str) -> str:
    deadline, version = time.monotonic() + ASK_SECONDS, -1
    while time.monotonic() < deadline:
        lives = lab.engine_lives()
        if (now := journal.data_version()) != version:
            version = now
            for one in journal.exchanges()[known:]:
                if one.question.text == text and one.answer is not None:
                    return _said(one.answer.text)
        if not lives:
            raise LabError(f"the engine has ended before it answered; {STANDS}")
        time.sleep(LOOK_SECONDS)
    raise LabError(f"no answer within {ASK_SECONDS:.0f} s; {STANDS}")


def _said(text: str) -> str:
    """Return an answer; raises `LabError` for one that says why there is none."""
    if text.startswith(NO_ANSWER):
        raise LabError(plain_text(text))
    return text


def shown(text: str) -> str:
    """Return a text of several lines that somebody else wrote, made harmless."""
    return "\n".join(plain_text(line) for line in text.splitlines())


# ---- the findings ------------------------------------------------------------------------------


def findings(lab: Lab) -> dict[str, Any]:
    """Return the findings of a lab, where they stand, and since when they are as they are."""
    try:
        with lab.findings.open(encoding="utf-8", errors="replace") as file:
            written = datetime.fromtimestamp(os.fstat(file.fileno()).st_mtime, UTC)
            text = file.read()
    except FileNotFoundError:
        raise LabError(
            "there are no findings yet: the first verdict of a night writes them"
        ) from None
    at = written.isoformat(timespec="seconds")
    return {"path": str(lab.findings), "written_at": at, "findings": text}


def write_findings(lab: Lab) -> bool:
    """Merge the findings into program.md; tell whether that changed it.

    What a person writes into it at the same moment is not lost: it is read again until what
    was merged is what is there.
    """
    from cockpit.core.findings import FindingsError, merged

    found = findings(lab)["findings"]
    path = lab.program.resolve()  # a link stays a link
    for _ in range(TRIES):
        before = path.read_bytes()
        try:
            after = merged(before.decode("utf-8"), found).encode()
        except UnicodeDecodeError as error:
            raise LabError(f"{path} is not UTF-8: {error}") from error
        except FindingsError as error:
            raise LabError(str(error)) from error
        if after == before:
            return False
        if _replace(path, before, after):
            return True
    raise LabError(f"{path} changes all the time: try again when nobody writes it")


def _replace(path: Path, before: bytes, after: bytes) -> bool:
    """Replace a file at once, with the mode it had, where it still holds `before`."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with open(descriptor, "wb") as file:
            file.write(after)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(stat.S_IMODE(path.stat().st_mode))
        if path.read_bytes() != before:
            return False
        temporary.replace(path)
        return True
    finally:
        temporary.unlink(missing_ok=True)


# ---- a key -------------------------------------------------------------------------------------


def keep_key(name: str) -> str:
    """Ask for a key, without an echo where somebody types it, and keep it; return what was done."""
    from cockpit.proposers.keys import keys_file, write_key

    if sys.stdin.isatty():
        value = getpass.getpass(f"{name} (nothing removes it): ").strip()
    else:
        value = sys.stdin.readline().strip()
    path = keys_file()
    write_key(path, name, value or None)
    if not value:
        return f"{name} is not in {path} any more"
    return f"{name} is kept in {path}; a night under way takes it with the next call"
