"""What each class of failure gets before a person or the role's `on_failure` has the word, as data."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from models.consensus.policy import PhasePolicy
from models.states import Failure

LONGEST_RETRY_AT = timedelta(days=8)
"""No agent is believed that names a later moment: weekly quotas are the longest there are."""


@dataclass(frozen=True)
class Treatment:
    """How one class of failure is taken."""

    said: str
    """The predicate of a role that failed so."""
    retries: str | int | None = 0
    """How often it is retried by itself: a number, one of the phase's policy by name, None without end."""
    pause: timedelta = timedelta()
    """How long the first retry waits; each further one waits twice as long."""
    longest_pause: timedelta = timedelta(minutes=1)
    counts_together: bool = True
    """Whether it is one of two failures within a minute that stop the phase."""
    asks_always: bool = False
    """Whether a retry the definition asks for is of no use, so that a person is asked instead."""


TREATMENTS: Mapping[Failure, Treatment] = {
    Failure.STARTUP: Treatment("could not be started", "max_startup_retries", timedelta(seconds=1)),
    Failure.PROGRAM_MISSING: Treatment(
        "could not be started, since its program is not there (`egg agent list` names it, `egg doctor` shows"
        " where agents look)",
        asks_always=True,
    ),
    Failure.NETWORK: Treatment(
        "could not reach the network", retries="max_startup_retries", pause=timedelta(seconds=1)
    ),
    Failure.PROCESS_FAILURE: Treatment("failed"),
    Failure.NO_VERDICT: Treatment("ended again and again without a verdict", "max_recoveries"),
    Failure.CONTEXT_OVERFLOW: Treatment("ran out of context", retries=1),
    Failure.AUTH: Treatment(
        "was refused by its provider: its credential is missing or wrong; mend it before you retry",
        counts_together=False,
        asks_always=True,
    ),
    Failure.QUOTA: Treatment(
        "is out of quota",
        retries=None,
        pause=timedelta(minutes=5),
        longest_pause=timedelta(hours=1),
        counts_together=False,
    ),
    Failure.TIMEOUT: Treatment("was not active for too long and was stopped"),
    Failure.STOPPED: Treatment("was stopped by a person", counts_together=False),
    Failure.LOST: Treatment("was lost", retries=None, counts_together=False),
}


def retries(policy: PhasePolicy, failure: Failure) -> int | None:
    """How often a failure of this class is retried by itself; None without end."""
    allowed = TREATMENTS[failure].retries
    return int(getattr(policy, allowed)) if isinstance(allowed, str) else allowed


def pause(failure: Failure, times: int) -> timedelta:
    """How long a role waits after it has failed so for the *times*-th time in a row."""
    treatment = TREATMENTS[failure]
    # Twenty doublings are longer than any pause, and a larger number would be too large to be one.
    doubled: timedelta = treatment.pause * 2 ** min(times - 1, 20)
    return min(treatment.longest_pause, doubled)


def believed(retry_at: datetime, *, now: datetime) -> datetime:
    """The moment an agent names for its retry, kept within reason."""
    return max(now, min(retry_at, now + LONGEST_RETRY_AT))
