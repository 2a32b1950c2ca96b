"""The environment of an agent: made from an allow-list, and of the keys only its own."""

import os
from collections.abc import Mapping
from pathlib import Path

from cockpit.proposers.agents import Agent

ALLOWED = frozenset({"PATH", "LANG", "LANGUAGE", "TZ", "USER", "LOGNAME", "SHELL"})
PROXIES = frozenset({"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"})
"""In capitals or not."""
CERTIFICATES = (
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NODE_EXTRA_CA_CERTS",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
)
"""Variables with paths of certificates."""
PLAIN = {"TERM": "dumb", "NO_COLOR": "1", "PAGER": "cat", "GIT_TERMINAL_PROMPT": "0"}


def environment(
    agent: Agent, outer: Mapping[str, str], home: Path, temporary: Path
) -> dict[str, str]:
    """Return all of an agent's environment."""
    own = {*ALLOWED, *CERTIFICATES, *agent.keys, *agent.variables}
    kept = {
        name: value
        for name, value in outer.items()
        if name in own or name.startswith("LC_") or name.upper() in PROXIES
    }
    given = dict(agent.environment + (agent.as_root if os.geteuid() == 0 else ()))
    return kept | PLAIN | given | {"HOME": str(home), "TMPDIR": str(temporary)}


def certificates(outer: Mapping[str, str]) -> list[Path]:
    """Return the certificates that the environment names and that are there."""
    named = (outer.get(name, "") for name in CERTIFICATES)
    return [Path(path) for path in named if os.path.isabs(path) and os.path.exists(path)]
