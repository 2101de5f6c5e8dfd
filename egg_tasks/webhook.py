"""Telling the installation's webhook, signed as Standard Webhooks says: https://www.standardwebhooks.com."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from contextlib import closing
from datetime import datetime

import httpx

from egg_tasks.config import Webhook

SECONDS = 10.0


def tell(webhook: Webhook, content: Mapping[str, object], *, message_id: str, now: datetime) -> str | None:
    """Post *content*; None when it was taken, else why not, in words without the URL and the secret.

    It takes no longer than SECONDS, whatever the receiver does, and nothing is read but its status.
    """
    body = json.dumps(content, ensure_ascii=False).encode()
    stamp = str(int(now.timestamp()))
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "egg-tasks",
        "webhook-id": message_id,
        "webhook-timestamp": stamp,
        "webhook-signature": sign(webhook.key, message_id, stamp, body),
    }
    # Closed and not run to its end: a name that is still being looked up in a thread is not waited for.
    with closing(asyncio.new_event_loop()) as loop:
        try:
            status = loop.run_until_complete(
                asyncio.wait_for(_status(webhook.url, body, headers), timeout=SECONDS)
            )
        except TimeoutError:
            return f"no answer within {SECONDS:g} s"
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            return type(error).__name__
    return None if httpx.codes.is_success(status) else f"HTTP {status}"


async def _status(url: str, body: bytes, headers: Mapping[str, str]) -> int:
    """The status a receiver answers with; the rest of its answer is not read, and no redirect followed."""
    client = httpx.AsyncClient(timeout=SECONDS, follow_redirects=False)
    async with client, client.stream("POST", url, content=body, headers=headers) as answer:
        return answer.status_code


def sign(key: bytes, message_id: str, stamp: str, body: bytes) -> str:
    """The value of `webhook-signature`."""
    signed = b".".join((message_id.encode(), stamp.encode(), body))
    return f"v1,{base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()}"
