"""Pure: what the engine offers a person, as long as nobody has taken it up."""

from collections.abc import Sequence

from cockpit.lab.rows import Message

OFFER = "offer"
"""The role of a message that waits for a person's answer."""


def standing_offer(messages: Sequence[Message]) -> Message | None:
    """Return the newest offer, unless a person has said or done something since."""
    for message in reversed(messages):
        if message.role == OFFER:
            return message
        if message.role == "human" or (message.role == "engine" and message.author != "engine"):
            return None
    return None
