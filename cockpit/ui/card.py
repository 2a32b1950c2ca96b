"""The one card that a fresh lab shows before its first night."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CardLine:
    """One fact of what is about to begin."""

    label: str
    value: str
    warning: str = ""
    """What a person should know about it before saying yes; empty where all is well."""


@dataclass(frozen=True, slots=True)
class StartCard:
    """Device, preset, corpus, proposer, sandbox and limits, as found by who calls the screen."""

    title: str
    lines: tuple[CardLine, ...]
