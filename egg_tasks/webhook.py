"""Telling the installation's webhook, signed as Standard Webhooks says: https://www.standardwebhooks.com."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import datetime

import httpx

from egg_tasks.config import Webhook

SECONDS = 10.0


def tell(webhook: Webhook, content: Mapping[str, object], *, message_id: str, now: datetime) -> str | None:
    """Post *content*; None when it was taken, else why not, in words without the URL and the secret."""
    body = json.dumps(content, ensure_ascii=False).encode()
    stamp = str(int(now.timestamp()))
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "egg-tasks",
        "webhook-id": message_id,
        "webhook-timestamp": stamp,
        "webhook-signature": sign(webhook.key, message_id, stamp, body),
    }
    try:
        answer = httpx.post(
            webhook.url, content=body, headers=headers, timeout=SECONDS, follow_redirects=False
        )
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return type(error).__name__
    return None if answer.is_success else f"HTTP {answer.status_code}"


def sign(key: bytes, message_id: str, stamp: str, body: bytes) -> str:
    """The value of `webhook-signature`."""
    signed = b".".join((message_id.encode(), stamp.encode(), body))
    return f"v1,{base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()}"
