"""What stands in a commit: the message of an experiment, and reading commit objects."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

LONGEST_TITLE = 120


@dataclass(frozen=True, slots=True)
class Commit:
    """What a commit object says."""

    hash: str
    parents: tuple[str, ...]
    at: float
    """Committer's time, Unix seconds."""
    message: str

    @property
    def title(self) -> str:
        """Return the first line of the message."""
        return self.message.partition("\n")[0]

    @property
    def body(self) -> str:
        """Return what stands between the title and the trailers."""
        middle = self.message.strip().split("\n\n")[1:-1]
        return "\n\n".join(middle)

    @property
    def trailers(self) -> dict[str, str]:
        """Return the trailers: the lines `Name: value` of the last paragraph."""
        last = self.message.strip().rpartition("\n\n")[2]
        pairs = (line.partition(": ") for line in last.splitlines())
        return {name: value for name, colon, value in pairs if colon}


def message(title: str, body: str, trailers: Mapping[str, str]) -> str:
    """Return a commit message: a clean line, the hypothesis, and trailers as last paragraph."""
    first = one_line(title)[:LONGEST_TITLE] or "Untitled"
    lines = [one_line(line) for line in body.splitlines()]
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
    last = "\n".join(f"{name}: {one_line(value)}" for name, value in trailers.items())
    return "\n\n".join(part for part in (first, text, last) if part) + "\n"


def one_line(text: str) -> str:
    """Return a text as one printable line."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def parse(name: str, raw: bytes) -> Commit:
    """Return the commit in the content of a commit object."""
    head, _, text = raw.decode("utf-8", "replace").partition("\n\n")
    fields = [line.partition(" ")[::2] for line in head.splitlines()]
    at = next((value.split()[-2] for key, value in fields if key == "committer"), "0")
    parents = tuple(value for key, value in fields if key == "parent")
    return Commit(name, parents, float(at), text)
