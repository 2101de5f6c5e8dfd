"""Every error the system raises on purpose.

    EggError
    ├── Rejected              cannot be granted: never retried, exit 1
    │   ├── Malformed         400  a value has the wrong form
    │   ├── Unauthenticated   401  no credential, or an unknown one
    │   ├── Forbidden         403  not this credential's to do
    │   ├── NotFound          404  there is no such thing
    │   ├── Conflict          409  over, stale, occupied, or too early
    │   │   ├── Leftovers          a clone holds what its head does not
    │   │   └── UsedUp             a run or a pipeline has none left of what it may have
    │   ├── TooLarge          413  more than may be sent
    │   ├── Unprocessable     422  well-formed, but refused
    │   │   └── NotSet             a variable that a definition takes from here is not there
    │   └── TooMany           429  asked too often: the same request is granted a little later
    └── Unavailable           503  the world is not ready: retried with back-off
        ├── DatabaseAway           our own database: nobody's failure but ours
        ├── KeyTaken               somebody used the same key at the same moment
        ├── TookTooLong            git came to no end with what an agent left: more so the next time, perhaps
        ├── JustAwake              the machine has slept, and its deadlines are not yet moved
        ├── EngineAway             the container engine: its runs wait for it, and nobody has failed
        ├── NoRoom                 the disk is full: nobody's failure, and tried until there is room
        ├── TooNew                 only a newer release of ours knows it
        └── Halted                 a person has stopped all: nothing starts until that is lifted

Anything else that is raised is a bug. An agent that fails is not an error but a value in a row.
"""

from typing import ClassVar

from models.masking import masked


class EggError(Exception):
    """An error with a sentence for the reader and, where it helps, details for a program."""

    status: ClassVar[int] = 500

    def __init__(self, message: str, details: dict[str, object] | None = None) -> None:
        # Who quotes a URL need not think of what is in it.
        message = masked(message)
        super().__init__(message, details)
        self.message = message
        self.details = details or {}

    def __str__(self) -> str:
        return self.message


class Rejected(EggError):
    """The request cannot be granted, however often it is made."""

    status = 422


class Malformed(Rejected):
    """A value has the wrong form."""

    status = 400


class Unauthenticated(Rejected):
    """There is no credential, or nobody knows it."""

    status = 401


class Forbidden(Rejected):
    """The credential is good, but not for this."""

    status = 403


class NotFound(Rejected):
    """There is no such thing."""

    status = 404


class Conflict(Rejected):
    """What the request speaks of is over, stale, occupied or not reached; details hold the current state."""

    status = 409


class Leftovers(Conflict):
    """A clone holds what its head does not: READY is refused, and none of it is committed for the agent."""


class UsedUp(Conflict):
    """A run, or all of a pipeline, has none left of its share; the message says who raises it."""


class TooLarge(Rejected):
    """More was sent than may be."""

    status = 413


class Unprocessable(Rejected):
    """The request is well-formed, and what it asks for is refused."""

    status = 422


class NotSet(Unprocessable):
    """What a definition takes of the machine it runs on is not there, or not for agents."""


class TooMany(Rejected):
    """The credential asks too often; the same request is granted a little later."""

    status = 429


class Unavailable(EggError):
    """Something the system needs is away; the same request may succeed later."""

    status = 503


class DatabaseAway(Unavailable):
    """Our own database is away or busy: no agent and no repository is to blame."""


class KeyTaken(Unavailable):
    """The same key was used at the same moment; the next try finds what stands under it."""


class TookTooLong(Unavailable):
    """Git did not end in the time it was given; what it was at may have been made so that it never does."""


class JustAwake(Unavailable):
    """The machine may just have woken up: nothing is judged by the time before the next tick."""


class EngineAway(Unavailable):
    """The container engine of this machine does not answer."""


class NoRoom(Unavailable):
    """The disk is full: no agent and no repository is to blame, and all goes on when there is room."""


class TooNew(Unavailable):
    """Something was made by a newer release of ours, and is left alone until that is started again."""


class Halted(Unavailable):
    """A person has stopped all: no agent starts until that is lifted."""
