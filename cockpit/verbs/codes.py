"""Exit codes of every verb."""

DONE, REFUSED, USAGE, UNKNOWN = 0, 1, 2, 3
"""Done; refused with a reason; wrong usage; no such lab or experiment."""
