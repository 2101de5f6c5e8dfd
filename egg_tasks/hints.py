"""Hints: who reads a pipeline should look again. They may be lost; what they speak of is in the rows."""

import asyncio
from collections.abc import Callable, Iterable
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


def publish(pipeline_ids: Iterable[str]) -> None:
    """Have everybody who waits on these pipelines look again; never raises."""
    try:
        connection().publish(CHANNEL, "\n".join(pipeline_ids))
    except redis.RedisError as error:
        log.info("hints.unpublished", error=str(error))


def ping() -> str | None:
    """What is wrong with Redis; None when it answers."""
    try:
        connection().ping()
    except redis.RedisError as error:
        return str(error)
    return None


async def listen(heard: Callable[[str | None], None]) -> None:
    """Call *heard* with each pipeline hinted at, for ever; with None when some may have been missed."""
    while True:
        try:
            await _subscribe(heard)
        except (redis.RedisError, OSError) as error:
            log.info("hints.unheard", error=str(error))
        heard(None)
        await asyncio.sleep(PAUSE_SECONDS)


async def _subscribe(heard: Callable[[str | None], None]) -> None:
    client = redis_asyncio.from_url(
        settings().redis_url,
        socket_connect_timeout=SECONDS,
        retry=AsyncRetry(NoBackoff(), 0),
        health_check_interval=PING_SECONDS,
        decode_responses=True,
    )
    async with client, client.pubsub() as subscription:
        await subscription.subscribe(CHANNEL)
        heard(None)
        while True:
            message = await subscription.get_message(ignore_subscribe_messages=True, timeout=PING_SECONDS)
            for pipeline_id in message["data"].split("\n") if message else ():
                heard(pipeline_id)


@cache
def connection() -> redis.Redis:
    """The process's connections for publishing."""
    return redis.Redis.from_url(
        settings().redis_url,
        socket_timeout=SECONDS,
        socket_connect_timeout=SECONDS,
        retry=Retry(NoBackoff(), 0),
    )
