"""The verbs as `cockpit --help` shows them: by what a person wants."""

from collections.abc import Mapping

GROUPS = (
    ("the night", ("run", "start", "stop", "pause", "resume", "skip", "finish", "status")),
    ("looking", ("log", "show", "queue", "report", "rejudge", "findings", "score")),
    ("talking to who has the ideas", ("hint", "withdraw", "ask", "try", "key")),
    ("yours to decide", ("accept", "reject", "undo", "note")),
    ("runs by hand", ("replicate", "rerun", "confirm", "ablate")),
    ("base and queue by hand", ("branch", "first", "later", "drop")),
    ("coming and going", ("apply", "export", "import")),
    ("the lab", ("init", "prepare", "doctor")),
)
REST = "and"


def in_groups(verbs: Mapping[str, str]) -> str:
    """Return the verbs with what they do, a line each; one that no group has comes last."""
    grouped = {name for _, names in GROUPS for name in names}
    rest = tuple(name for name in verbs if name not in grouped)
    lines = []
    for title, names in (*GROUPS, (REST, rest)):
        there = [name for name in names if name in verbs]
        if there:
            lines += ["", f"{title}:", *(f"  {name:<10} {verbs[name]}" for name in there)]
    return "\n".join(lines[1:])
