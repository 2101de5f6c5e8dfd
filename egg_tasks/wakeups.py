"""Hints: who reads a pipeline should look again. They may be lost; what they speak of is in the rows."""

import asyncio
import secrets
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cache

import redis
import structlog
from redis import asyncio as redis_asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from egg_tasks.config import settings

log = structlog.get_logger()

CHANNEL = "egg:hints"
SECONDS = 0.5
"""A hint is worth no longer wait: readers look by themselves, too."""
PAUSE_SECONDS = 1.0
PING_SECONDS = 15.0

Heard = Callable[[str | None], None]
_EARS: list[tuple[asyncio.AbstractEventLoop, Heard]] = []
"""Who listens in this process: hints from within need no way over Redis."""


def events_of(pipeline_id: str) -> str:
    """The topic of what happens in a pipeline."""
    return pipeline_id


def messages_to(pipeline_id: str, role: str) -> str:
    """The topic of messages to one role of a pipeline, or to `all`; neither name can hold a space."""
    return f"{pipeline_id} {role}"


def pipeline_of(topic: str) -> str:
    """The pipeline a topic is about."""
    return topic.partition(" ")[0]


def publish(topics: Iterable[str]) -> None:
    """Have everybody who waits on these topics look again, this process's own first; never raises."""
    told = list(topics)
    for loop, heard in tuple(_EARS):
        # A loop that was closed meanwhile has nobody left who waits.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(_hear, heard, told)
    try:
        connection().publish(CHANNEL, "\n".join([_process_name(), *told]))
    except redis.RedisError as error:
        log.info("hints.unpublished", error=str(error))


def ping() -> str | None:
    """What is wrong with Redis; None when it answers."""
    try:
        connection().ping()
    except redis.RedisError as error:
        return str(error)
    return None


async def listen(heard: Heard) -> None:
    """Call *heard* with each topic hinted at, for ever; with None when some may have been missed."""
    ear = (asyncio.get_running_loop(), heard)
    _EARS.append(ear)
    try:
        while True:
            try:
                await _subscribe(heard)
            except (redis.RedisError, OSError) as error:
                log.info("hints.unheard", error=str(error))
            heard(None)
            await asyncio.sleep(PAUSE_SECONDS)
    finally:
        _EARS.remove(ear)


async def _subscribe(heard: Heard) -> None:
    client = redis_asyncio.from_url(
        settings().redis_url,
        socket_connect_timeout=SECONDS,
        retry=AsyncRetry(NoBackoff(), 0),
        health_check_interval=PING_SECONDS,
    )
    async with client, client.pubsub() as subscription:
        await subscription.subscribe(CHANNEL)
        heard(None)
        while True:
            message = await subscription.get_message(ignore_subscribe_messages=True, timeout=PING_SECONDS)
            by, *topics = _read(message["data"]) if message else [""]
            if by != _process_name():
                _hear(heard, topics)


def _read(payload: bytes) -> list[str]:
    """Who hints, and the topics. Anybody may publish: what is none of ours names topics nobody waits for."""
    return payload.decode(errors="replace").split("\n")


def _hear(heard: Heard, topics: Iterable[str]) -> None:
    for topic in topics:
        heard(topic)


@cache
def _process_name() -> str:
    """What tells this process's hints from those of others, which alone it has not heard yet."""
    return secrets.token_hex(8)


@cache
def connection() -> redis.Redis:
    """The process's connections for publishing."""
    return redis.Redis.from_url(
        settings().redis_url,
        socket_timeout=SECONDS,
        socket_connect_timeout=SECONDS,
        retry=Retry(NoBackoff(), 0),
    )
