"""Agents' requests to models: whether one may be sent, what it has used, and keys that are not asked with."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from uuid import UUID

from sqlalchemy.orm import Session

from models.errors import EggError, Forbidden, TooMany, Unauthenticated
from models.queries import model_requests
from models.schemas.usage import RequestEnd
from models.tables import CredentialHold, ModelRequest
from models.tables.model_request import HoldReason

SUCCESS = range(200, 300)
OVERLOADED = 529
"""Anthropic's own."""
TRIAL = timedelta(seconds=15)
"""So long others wait for what the first one is answered that is let through after a hold."""
TURN = timedelta(seconds=5)
"""So long the run that was the first one before leaves it to others to be that."""
QUOTA_FROM = timedelta(seconds=60)
"""Who is told to come again later than this has used up its quota."""
LONGEST = timedelta(days=1)


@dataclass(frozen=True)
class Backoff:
    """How long a hold takes if the provider does not say: twice as long each time."""

    least: timedelta
    most: timedelta


BACKOFFS: Mapping[HoldReason, Backoff] = {
    HoldReason.AUTH: Backoff(timedelta(seconds=60), timedelta(minutes=15)),
    HoldReason.QUOTA: Backoff(timedelta(seconds=60), timedelta(hours=1)),
    HoldReason.CAPACITY: Backoff(timedelta(seconds=2), timedelta(seconds=60)),
}


@dataclass(frozen=True)
class Wish:
    """A request as the gateway has it before it sends it."""

    run_id: UUID
    node: str
    provider: str
    credential: str
    key_from: datetime
    """Since when the key is what it is: a hold for an older one does not count."""
    asks_model: bool = True
    """Whether a model is to answer: what is merely looked at says little of a key."""
    had_last_turn: bool = False
    """Whether its run was the last one that was let through first after a hold of the key."""


@dataclass(frozen=True)
class Permit:
    """That a request may be sent."""

    request_id: int
    trial_until: datetime | None = None
    """So long others wait, if it is the first one after a hold, and its answer says whether that is over."""

    @property
    def is_trial(self) -> bool:
        """Whether it is the first one after a hold."""
        return self.trial_until is not None


def begin(session: Session, *, wish: Wish, providers: Collection[str], now: datetime) -> Permit:
    """Note a request that is to be sent, unless its agent's definition or a hold of the key is against it.

    `Forbidden` for a provider that its agent has not; `TooMany` or `Unauthenticated` while the key is held.
    """
    if wish.provider not in providers:
        raise Forbidden(
            f"this agent has no provider {wish.provider}: its definition names those it has, in `providers`"
        )
    trial_until = _pass_hold(session, wish, now)
    row = ModelRequest(agent_run_id=wish.run_id, node=wish.node, provider=wish.provider, started_at=now)
    model_requests.add_model_request(session, request=row)
    return Permit(row.id, trial_until)


def end(session: Session, *, permit: Permit, end: RequestEnd, now: datetime) -> None:
    """Note how a request ended; in single statements."""
    model_requests.end_model_request(session, request_id=permit.request_id, end=end, now=now)


def hear(
    session: Session,
    *,
    credential: str,
    permit: Permit,
    status: int,
    retry_after: timedelta | None,
    now: datetime,
) -> None:
    """Take in what a provider answers: hold the key, for all machines, or lift the hold after a trial."""
    reason = reason_of(status, retry_after)
    if reason is None:
        if permit.is_trial and status in SUCCESS:
            model_requests.delete_hold(session, credential=credential)
        elif permit.is_trial:
            # It may be to what the asker did wrong, before the key was looked at: nothing is known yet.
            give_back(session, credential=credential, permit=permit, now=now)
        return
    hold = model_requests.lock_hold(session, credential=credential, now=now)
    if permit.is_trial or not hold.strikes:
        hold.strikes += 1
    # Those that were under way already are answered alike, and say nothing new.
    hold.until = max(hold.until, now + length(reason, hold.strikes, retry_after))
    hold.reason, hold.http_status = reason, status
    if hold.strikes == 1:
        hold.since = now


def give_back(session: Session, *, credential: str, permit: Permit, now: datetime) -> None:
    """Let another be the first one after a hold at once; in single statements."""
    if permit.trial_until is not None:
        model_requests.end_trial(session, credential=credential, until=permit.trial_until, now=now)


def reason_of(status: int, retry_after: timedelta | None) -> HoldReason | None:
    """Why an answer is one for all who have the same key; None for one that is the asker's own."""
    if status == HTTPStatus.UNAUTHORIZED:
        return HoldReason.AUTH
    if status == OVERLOADED:
        return HoldReason.CAPACITY
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return HoldReason.QUOTA if retry_after and retry_after > QUOTA_FROM else HoldReason.CAPACITY
    return None


def length(reason: HoldReason, strikes: int, retry_after: timedelta | None) -> timedelta:
    """How long nobody asks: what the provider said, with a floor and an end; else longer each time."""
    backoff = BACKOFFS[reason]
    if retry_after is not None and reason is not HoldReason.AUTH:
        return min(max(retry_after, timedelta(seconds=1)), LONGEST)
    return min(backoff.least * float(2 ** min(strikes - 1, 20)), backoff.most)


def _pass_hold(session: Session, wish: Wish, now: datetime) -> datetime | None:
    """How long others wait for a request, if it is the first one after a hold; raises while that stands."""
    hold = model_requests.find_hold(session, credential=wish.credential)
    if hold is None:
        return None
    if hold.reason is HoldReason.AUTH and wish.key_from > hold.since:
        # Somebody has put another key there since.
        model_requests.delete_hold(session, credential=wish.credential)
        return None
    if not wish.asks_model and hold.until <= now:
        return None
    turn, until = now - TURN if wish.had_last_turn else now, now + TRIAL
    if wish.asks_model and model_requests.claim_end_of_hold(
        session, credential=wish.credential, now=turn, until=until
    ):
        return until
    raise _refusal(hold, turn)


def _refusal(hold: CredentialHold, now: datetime) -> EggError:
    left = max(1, round((hold.until - now).total_seconds()))
    if hold.reason is HoldReason.AUTH:
        return Unauthenticated(
            f"the provider refuses the key {hold.credential} ({hold.http_status}); a person has to renew it"
        )
    return TooMany(
        f"the provider says {hold.http_status} to the key {hold.credential}: nobody asks it for {left} s",
        {"retry_after": left},
    )
