"""What each class of failure gets before a person or the role's `on_failure` has the word, as data.

Everything that is tried again by itself has a floor, after which it may be, and a bound, at which it is not.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from models.consensus.policy import PhasePolicy
from models.states import Failure

LONGEST_RETRY_AT = timedelta(days=1)
"""No agent is believed that names a later moment: then it is tried again, and a person may at any time."""


@dataclass(frozen=True)
class Pauses:
    """How long each next try waits for: the first one so long, each further one twice as long."""

    first: timedelta = timedelta(seconds=10)
    longest: timedelta = timedelta(minutes=1)

    def after(self, times: int) -> timedelta:
        """How long to wait when it has come to that so often."""
        # Twenty doublings are longer than any pause, and a larger number would be too large to be one.
        doubled: timedelta = self.first * 2 ** min(times - 1, 20)
        return min(self.longest, doubled)


FREE_RUNS = 3
"""So often a role runs in a phase run without a rest, whatever wakes it."""
RESTS = Pauses(timedelta(seconds=5))
"""Between its further runs; how many there are is `max_rounds`, and then a person is asked."""
MAX_CHECK_ERRORS = 3
"""So often a check that cannot be run is tried before a person is asked."""
CHECK_PAUSES = Pauses()
MAX_GATE_RESTARTS = 3
"""So often a gate that nobody answers begins its phase anew by its default; then it waits for a person."""


@dataclass(frozen=True)
class Treatment:
    """How one class of failure is taken."""

    said: str
    """The predicate of a role that failed so."""
    once: str = ""
    """The same of one run alone, where that differs."""
    hint: str = ""
    """A sentence on what to look at, for whoever is asked."""
    retries: str | int = 0
    """How often it is retried by itself: a number, or one of the phase's policy by name."""
    pauses: Pauses = Pauses()
    """How long its retries wait, those that a definition asks for too."""
    counts_together: bool = True
    """Whether it is one of two failures within a minute that stop the phase."""
    asks_always: bool = False
    """Whether a person is asked after its own retries, also where the definition asks for more of them."""


TREATMENTS: Mapping[Failure, Treatment] = {
    Failure.STARTUP: Treatment("could not be started", retries="max_startup_retries"),
    Failure.SETUP: Treatment(
        "could not be set up",
        retries=1,
        asks_always=True,
    ),
    Failure.PROGRAM_MISSING: Treatment(
        "could not be started, since its program is not there or cannot be run",
        hint="`egg doctor` shows where agents look, `egg doctor --image NAME` what they find in a container.",
        asks_always=True,
    ),
    Failure.MISSING_CONFIG: Treatment(
        "could not be started, since what its definition takes of this machine is not there",
        counts_together=False,
        asks_always=True,
    ),
    Failure.NETWORK: Treatment("could not reach the network", retries="max_startup_retries"),
    Failure.PROCESS_FAILURE: Treatment("failed"),
    Failure.NO_VERDICT: Treatment(
        "ended again and again without a verdict",
        once="ended without a verdict",
        hint="An agent gives its verdict with `egg signal readiness --state READY`.",
        retries="max_recoveries",
        pauses=Pauses(timedelta(seconds=5)),
    ),
    Failure.CONTEXT_OVERFLOW: Treatment("ran out of context", retries=1),
    Failure.AUTH: Treatment(
        "was refused by its provider: its credential is missing or wrong; mend it before you retry",
        counts_together=False,
        asks_always=True,
    ),
    Failure.QUOTA: Treatment(
        "is out of quota",
        retries="max_quota_retries",
        pauses=Pauses(timedelta(minutes=1), timedelta(hours=1)),
        counts_together=False,
        asks_always=True,
    ),
    Failure.TIMEOUT: Treatment("was not active for too long and was stopped"),
    Failure.DISK: Treatment(
        "took more of the disk than it may and was stopped",
        hint="What lies in its role's HOME is there for its next run, too.",
        counts_together=False,
        asks_always=True,
    ),
    Failure.OUT_OF_MEMORY: Treatment(
        "ran out of memory again and again",
        once="ran out of memory",
        retries=1,
        pauses=Pauses(timedelta(minutes=1)),
        counts_together=False,
        asks_always=True,
    ),
    Failure.STOPPED: Treatment("was stopped by a person", counts_together=False),
    Failure.LOST: Treatment(
        "was lost again and again",
        once="was lost",
        retries="max_loss_retries",
        counts_together=False,
    ),
}


def retries(policy: PhasePolicy, failure: Failure) -> int:
    """How often a failure of this class is retried by itself."""
    allowed = TREATMENTS[failure].retries
    return int(getattr(policy, allowed)) if isinstance(allowed, str) else allowed


def believed(retry_at: datetime, *, now: datetime) -> datetime:
    """The moment an agent names for its retry, kept within reason; its class's own pause comes first."""
    return max(now, min(retry_at, now + LONGEST_RETRY_AT))
