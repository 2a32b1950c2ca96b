"""What panes and screens with an experiment under the cursor have in common: the keys of `acts`."""

from textual.message_pump import MessagePump

from cockpit.core.experiment import Experiment
from cockpit.ui.acts import ACTS, why_not
from cockpit.ui.messages import Do, Say
from cockpit.ui.snapshot import Snapshot


class Acting(MessagePump):
    """Has a `subject` and a snapshot; its bindings are those of `acts.bindings`."""

    snapshot: Snapshot | None

    @property
    def subject(self) -> Experiment | None:
        """Return the experiment that the keys are about."""
        return None

    def possible(self) -> tuple[bool, ...]:
        """Return which acts are possible now: where it differs, the keys are told anew."""
        return tuple(self.why_not(act.verb) is None for act in ACTS)

    def why_not(self, verb: str) -> str | None:
        """Return why an act is not possible, None where it is."""
        if self.subject is None or self.snapshot is None:
            return "there is no experiment here"
        return why_not(self.snapshot, self.subject, verb)

    def offers(self, action: str, verb: str) -> bool:
        """Return whether a key's action counts now: to act, or else to say why not."""
        return (self.why_not(verb) is None) == (action == "act")

    def action_act(self, verb: str) -> None:
        """Do something to the experiment."""
        if self.subject is not None:
            self.post_message(Do(verb, self.subject.id))

    def action_say_why(self, verb: str) -> None:
        """Say why something can't be done to it."""
        if told := self.why_not(verb):
            self.post_message(Say(told, good=False))
