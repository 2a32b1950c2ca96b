"""What a tag may be called."""

import re

_FORBIDDEN = re.compile(r"[\x00-\x20\x7f~^:?*\[\\@/]|\.\.|^[.-]|\.$|\.lock$")
LONGEST_TAG = 100


def valid_tag(name: str) -> bool:
    """Tell whether a tag may be called so: git's rules for one component of a ref (see
    git-check-ref-format), and no `@`, which `--from TAG@best` needs, nor a leading dash.
    """
    return 0 < len(name.encode()) <= LONGEST_TAG and not _FORBIDDEN.search(name)
