"""The usual coding agents: how each is called for one task, and what of the machine is its own.

Anything else is a command line, as one would type it, without a shell. Whatever the agent, it
finds the task on its standard input and in PROMPT.md, works in its working directory, and asks
nobody: where it has a sandbox or questions of its own they are off, because ours is around it.
"""

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from cockpit.proposers.base import ProposerError

Speech = Literal["text", "claude", "pi"]
"""How an agent's output is read: as it is, or as that agent's JSON, an object a line."""

_PROVIDERS = (
    "ANTHROPIC_API_KEY",
    "OPENAI_API_KEY",
    "GEMINI_API_KEY",
    "OPENROUTER_API_KEY",
    "DEEPSEEK_API_KEY",
    "MISTRAL_API_KEY",
    "GROQ_API_KEY",
    "XAI_API_KEY",
)
"""For agents that work with every provider; rarer ones are named in the settings."""


@dataclass(frozen=True, slots=True)
class Agent:
    """A coding agent on the command line."""

    name: str
    argv: tuple[str, ...]
    """Its command line for one task."""
    asked: tuple[str, ...] = ()
    """Its command line for a question; empty: the same."""
    on_stdin: bool = True
    """Whether it reads the task from its standard input; else its command line names the file."""
    speech: Speech = "text"
    keys: tuple[str, ...] = ()
    """Variables with its keys: of all keys it gets these."""
    variables: tuple[str, ...] = ()
    """Further variables that it is configured by."""
    config: tuple[str, ...] = ()
    """Where it keeps its configuration, log-in and sessions: it may write there."""
    read_only: tuple[str, ...] = ()
    """What of it says which programs run at its next start: it may only read that."""
    copied: tuple[str, ...] = ()
    """Files of which it gets a copy, because a file by itself can't be replaced in a sandbox."""
    credentials: tuple[str, ...] = ()
    """Where its log-in is, if it has one; with none of these and no key it can't work."""
    environment: tuple[tuple[str, str], ...] = ()
    as_root: tuple[tuple[str, str], ...] = ()
    """What it needs besides where it is run by root."""


def _in(directory: str, names: str) -> tuple[str, ...]:
    return tuple(f"{directory}/{name}" for name in names.split())


def _line(*parts: str) -> tuple[str, ...]:
    return tuple(" ".join(parts).split())


_AIDER = _line(
    "aider --yes-always --no-auto-commits --no-dirty-commits --no-gitignore --no-check-update",
    "--no-pretty --no-suggest-shell-commands --no-analytics",
    # Its histories would be taken for changes.
    "--input-history-file /dev/null --chat-history-file /dev/null --message-file PROMPT.md",
)

PRESETS = (
    # Flags: code.claude.com/docs/en/cli-reference, /en/headless, /en/env-vars. As root it wants
    # to be told that it is in a sandbox: github.com/anthropics/claude-code issues 3490, 58150.
    Agent(
        "claude",
        _line("claude -p --dangerously-skip-permissions --output-format stream-json --verbose"),
        speech="claude",
        keys=("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"),
        variables=("ANTHROPIC_BASE_URL", "ANTHROPIC_MODEL", "CLAUDE_CODE_EFFORT_LEVEL"),
        config=("~/.claude",),
        read_only=(
            "/etc/claude-code",
            *_in("~/.claude", "settings.json settings.local.json CLAUDE.md agents commands"),
            *_in("~/.claude", "hooks plugins skills"),
        ),
        copied=("~/.claude.json",),
        credentials=("~/.claude/.credentials.json", "~/.claude.json"),
        environment=(
            ("DISABLE_AUTOUPDATER", "1"),
            ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),
        ),
        as_root=(("IS_SANDBOX", "1"),),
    ),
    # developers.openai.com/codex/noninteractive: `-` is the standard input, CODEX_API_KEY is
    # for `exec` alone; progress goes to standard error, the last message to standard output.
    Agent(
        "codex",
        _line(
            "codex exec --dangerously-bypass-approvals-and-sandbox --skip-git-repo-check",
            "--color never -",
        ),
        keys=("CODEX_API_KEY", "OPENAI_API_KEY"),
        variables=("OPENAI_BASE_URL",),
        config=("~/.codex",),
        read_only=(
            "/etc/codex",
            *_in("~/.codex", "config.toml hooks.json AGENTS.md prompts rules skills"),
        ),
        credentials=("~/.codex/auth.json",),
    ),
    # github.com/earendil-works/pi, packages/coding-agent/docs: cli.md, json.md, providers.md.
    Agent(
        "pi",
        _line("pi --mode json --no-session --no-approve"),
        speech="pi",
        keys=_PROVIDERS,
        config=("~/.pi/agent",),
        read_only=(
            *_in("~/.pi/agent", "settings.json models.json AGENTS.md SYSTEM.md extensions"),
            *_in("~/.pi/agent", "skills prompts npm git"),
        ),
        credentials=("~/.pi/agent/auth.json", "~/.pi/agent/models.json"),
        environment=(("PI_SKIP_VERSION_CHECK", "1"),),
    ),
    # aider.chat/docs/config/options.html, /docs/scripting.html.
    Agent(
        "aider",
        (*_AIDER, "--file", "trainer/train.py"),
        asked=(*_AIDER, "--chat-mode", "ask"),
        on_stdin=False,
        keys=_PROVIDERS,
        variables=("AIDER_MODEL", "OPENAI_API_BASE", "OLLAMA_API_BASE"),
        config=("~/.aider",),
        read_only=_in("~", ".aider.conf.yml .aider.model.settings.yml .aider.model.metadata.json"),
        credentials=("~/.aider/oauth-keys.env", "~/.aider.conf.yml"),
    ),
    # geminicli.com/docs/cli/headless, /docs/cli/trusted-folders: in a folder that is not
    # trusted `yolo` is silently taken back, also without a terminal.
    Agent(
        "gemini",
        _line("gemini --approval-mode yolo"),
        keys=("GEMINI_API_KEY", "GOOGLE_API_KEY"),
        variables=(
            "GEMINI_MODEL",
            "GOOGLE_GENAI_USE_VERTEXAI",
            "GOOGLE_CLOUD_PROJECT",
            "GOOGLE_CLOUD_LOCATION",
        ),
        config=("~/.gemini",),
        read_only=(
            "/etc/gemini-cli",
            *_in("~/.gemini", "settings.json .env GEMINI.md trustedFolders.json commands"),
            *_in("~/.gemini", "extensions skills agents policies"),
        ),
        credentials=("~/.gemini/oauth_creds.json", "~/.gemini/settings.json"),
        environment=(("GEMINI_CLI_TRUST_WORKSPACE", "true"), ("GEMINI_SANDBOX", "false")),
    ),
    # opencode.ai/docs/cli, /docs/permissions; what comes on standard input is the message:
    # github.com/anomalyco/opencode, packages/opencode/src/cli/cmd/run.ts.
    Agent(
        "opencode",
        _line("opencode run --auto"),
        keys=(*_PROVIDERS, "OPENCODE_API_KEY"),
        config=("~/.local/share/opencode", "~/.local/state/opencode"),
        read_only=("~/.config/opencode", "~/.opencode", "/etc/opencode"),
        credentials=("~/.local/share/opencode/auth.json", "~/.config/opencode"),
        environment=(("OPENCODE_DISABLE_AUTOUPDATE", "1"),),
    ),
)
"""The agents that are known by name."""


def agent_of(named: str, keys: Sequence[str] = (), config: Sequence[str] = ()) -> Agent:
    """Return a preset, or the agent that a command line is; with further keys and configuration.

    One word that is a preset's name, or the path of its program, is the preset. More words are a
    command line of one's own; where it begins with a preset's program, that preset's keys and
    configuration belong to it. Raises `ProposerError` for what is no command line.
    """
    try:
        words = [os.path.expanduser(word) for word in shlex.split(named)]
    except ValueError as error:
        raise ProposerError(f"the agent {named!r} is no command line: {error}") from error
    if not words:
        raise ProposerError("no agent is set: give a preset's name or a command line with --agent")
    program = os.path.basename(words[0])
    found = next((agent for agent in PRESETS if agent.name == program), None)
    if found is None:
        found = Agent(program, tuple(words))
    elif len(words) == 1:
        found = replace(
            found,
            argv=(words[0], *found.argv[1:]),
            asked=(words[0], *found.asked[1:]) if found.asked else (),
        )
    else:
        speech = found.speech if {"json", "stream-json"} & set(words) else "text"
        found = replace(found, argv=tuple(words), asked=(), on_stdin=True, speech=speech)
    return replace(
        found,
        keys=tuple(dict.fromkeys((*found.keys, *keys))),
        config=tuple(dict.fromkeys((*found.config, *config))),
    )
