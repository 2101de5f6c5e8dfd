"""The API over one connection that is kept open, with the patience of an agent."""

import json
import time
from collections import Counter
from collections.abc import Mapping
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlencode, urlsplit

PATIENCE_SECONDS = 120.0
PAUSE_SECONDS = 0.1
AGAIN = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}


class Refused(Exception):
    """The API answered what a correct client must not get; a 500 is one, whatever died."""


class Door:
    """One caller; to be used by one thread."""

    def __init__(self, url: str, token: str) -> None:
        where = urlsplit(url)
        self._connection = HTTPConnection(str(where.hostname), where.port, timeout=90)
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self.retries: Counter[str] = Counter()
        """How often it asked again, by why."""

    def send(self, pipeline_id: str, body: Mapping[str, object]) -> dict[str, Any]:
        """Send a message, again and again with the same `client_key` until it is acknowledged."""
        return dict(self.ask("POST", f"/pipelines/{pipeline_id}/messages", json.dumps(body))["message"])

    def poll(self, pipeline_id: str, **query: object) -> dict[str, Any]:
        """Read messages."""
        return self.ask("GET", f"/pipelines/{pipeline_id}/messages?{urlencode(query)}")

    def ask(self, method: str, path: str, body: str | None = None) -> dict[str, Any]:
        """Ask until there is an answer; the data in it."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                self._connection.request(method, f"/api/v1{path}", body=body, headers=self._headers)
                response = self._connection.getresponse()
                text = response.read()
            except (OSError, HTTPException) as error:
                self._connection.close()
                why = type(error).__name__
            else:
                if response.status < HTTPStatus.BAD_REQUEST:
                    return dict(json.loads(text)["data"])
                if response.status not in AGAIN:
                    raise Refused(f"{method} {path}: HTTP {response.status} {text[:300].decode()}")
                why = f"HTTP {response.status}"
            if time.monotonic() > deadline:
                raise Refused(f"{method} {path}: no answer in {PATIENCE_SECONDS:.0f} s, lastly {why}")
            self.retries[why] += 1
            time.sleep(PAUSE_SECONDS)
