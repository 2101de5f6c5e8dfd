"""Retries of our own work: what we try again ourselves, how far apart, how often, and what comes then."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from models.consensus.treatments import Pauses


class Work(StrEnum):
    """What is done for a row until it succeeds; an agent's run has other bounds (`services.agents.tries`)."""

    PREPARATION = "preparation"
    PUBLICATION = "publication"
    MERGE = "merge"
    REBASE = "rebase"
    NOTICE = "notice"
    DELETION = "deletion"
    EVALUATION = "evaluation"
    DEFAULT = "default"


@dataclass(frozen=True)
class Bound:
    """How work is tried that fails by a fault of its own; what a full disk fails, say, is not counted."""

    pauses: Pauses
    most: int
    """So many times in all."""
    then: str
    """What happens afterwards, in a sentence."""

    def is_over(self, tries: int) -> bool:
        """Whether it was tried so often that it is not tried again by itself."""
        return tries >= self.most

    def pause(self, tries: int) -> timedelta:
        """How long to wait when it was tried in vain so often, 1 or more."""
        return self.pauses.after(tries)


SLOWLY = Pauses(timedelta(seconds=15), timedelta(hours=1))

BOUNDS: Mapping[Work, Bound] = {
    Work.PREPARATION: Bound(
        Pauses(timedelta(seconds=10), timedelta(minutes=2)), 5, "the pipeline fails and says why"
    ),
    Work.PUBLICATION: Bound(
        SLOWLY,
        12,
        "an event tells it, `egg why` and `egg status` say it, and the next merge or `egg up` tries it",
    ),
    Work.MERGE: Bound(
        Pauses(timedelta(seconds=15), timedelta(minutes=2)), 8, "the pipeline fails and says why"
    ),
    Work.REBASE: Bound(
        Pauses(timedelta(seconds=15), timedelta(minutes=2)),
        5,
        "the work goes on without, which an event tells",
    ),
    Work.NOTICE: Bound(
        Pauses(timedelta(seconds=5), timedelta(hours=1)),
        20,
        "the question waits in `egg decision list` alone",
    ),
    Work.DELETION: Bound(SLOWLY, 12, "`egg status` says it, and `egg up` tries it"),
    Work.EVALUATION: Bound(
        Pauses(timedelta(seconds=4), timedelta(minutes=5)),
        30,
        "`egg status` says it is late, and `egg up` tries it",
    ),
    Work.DEFAULT: Bound(
        Pauses(timedelta(seconds=4), timedelta(minutes=5)), 30, "a person answers it, and `egg up` tries it"
    ),
}
