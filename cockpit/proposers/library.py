"""The library that speaks with every provider: litellm, quiet and kept off the network.

It takes three seconds and 170 MB to import, so it is imported where it is used and nowhere
else: in the proposer's own process. By itself it would fetch a price list at import, read
`.env` files, print advice, and log what it sends.
"""

import importlib
import logging
import os
from collections.abc import Callable
from typing import Any, TypeVar

from cockpit.proposers.faults import CallError, fault_of

T = TypeVar("T")

ENVIRONMENT = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
    "LITELLM_MODE": "PRODUCTION",  # else it looks for .env files in all directories above
    "LITELLM_LOG": "ERROR",
}
"""What it has to find when it is imported."""
TALKATIVE = ("OPENAI_LOG", "ANTHROPIC_LOG", "DETAILED_DEBUG")
"""Variables that make a provider's library write down every request."""


def load() -> Any:
    """Import litellm and return it."""
    os.environ.update(ENVIRONMENT)
    for name in TALKATIVE:
        os.environ.pop(name, None)
    logging.disable(logging.CRITICAL)  # nobody reads it, and it holds prompts
    litellm: Any = importlib.import_module("litellm")
    litellm.telemetry = False
    litellm.suppress_debug_info = True
    litellm.disable_streaming_logging = True
    litellm.turn_off_message_logging = True
    litellm.redact_messages_in_exceptions = True
    litellm.disable_hf_tokenizer_download = True
    litellm.drop_params = True
    return litellm


def guarded(call: Callable[[], T]) -> T:
    """Return what a call of the library returns; whatever it raises becomes a `CallError`."""
    try:
        return call()
    except Exception as error:  # noqa: BLE001 a provider's library may raise anything at all
        fault = fault_of(error)
    raise CallError(fault)  # outside of the handler: the exception may hold a key


def known(call: Callable[[], T], otherwise: T) -> T:
    """Return what the library's tables say, or `otherwise` where they say nothing."""
    try:
        return guarded(call)
    except CallError:
        return otherwise
