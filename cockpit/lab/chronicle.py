"""The journal as a report reads it: what people did and said to a whole tag."""

from cockpit.core.experiment import BY_RULE
from cockpit.lab.looking import LookingJournal
from cockpit.lab.rows import IMPORT, DecisionEvent, Remark

NOBODY = (BY_RULE, IMPORT)
"""Who decides where no person does: the rule, and a table that was imported."""


class Chronicle(LookingJournal):
    """A journal opened to tell the story of a tag."""

    def stories_with_people(self, tag: str) -> dict[int, list[DecisionEvent]]:
        """Return all events of the experiments on which a person has decided, by experiment."""
        stories: dict[int, list[DecisionEvent]] = {}
        for event in self._events(
            "experiment IN (SELECT decided.experiment FROM verdict AS decided JOIN experiment "  # noqa: S608 constants
            "ON experiment.id = decided.experiment "
            f"WHERE tag = ? AND decided.decided_by NOT IN {NOBODY})",
            tag,
        ):
            stories.setdefault(event.experiment, []).append(event)
        return stories

    def remarks_of(self, tag: str) -> list[Remark]:
        """Return what people have noted on the experiments of a tag, oldest first."""
        return [
            Remark(*row)
            for row in self._db.execute(
                "SELECT remark.id, experiment, at, author, text FROM remark JOIN experiment "
                "ON experiment.id = remark.experiment WHERE tag = ? ORDER BY remark.id",
                (tag,),
            )
        ]
