"""What the gateway itself answers, in the envelope of the API."""

import json
from collections.abc import Mapping
from http import HTTPStatus

import h11

from egg_tasks.gateway.peers import Peer
from models.errors import EggError, TooMany, Unauthenticated, Unavailable
from models.foreign import one_line

LONGEST_REASON = 200
MODEL_FAULTS = {
    HTTPStatus.UNAUTHORIZED: "authentication_error",
    HTTPStatus.FORBIDDEN: "permission_error",
    HTTPStatus.NOT_FOUND: "not_found_error",
    HTTPStatus.TOO_MANY_REQUESTS: "rate_limit_error",
    HTTPStatus.SERVICE_UNAVAILABLE: "api_error",
}
"""What providers of models call an error of a status; any other is `invalid_request_error`."""


async def refuse(
    near: Peer, error: EggError, *, closes: bool = False, is_proxy: bool = False, is_model: bool = False
) -> None:
    """Answer with an error on purpose; its sentence is in the first line too, all that some programs show.

    Who asks a model finds it where providers have it.
    """
    headers, status = {}, error.status
    if isinstance(error, Unauthenticated) and is_proxy:
        headers["Proxy-Authenticate"] = 'Basic realm="egg"'
        status = HTTPStatus.PROXY_AUTHENTICATION_REQUIRED
    elif isinstance(error, Unauthenticated):
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, Unavailable):
        headers["Retry-After"] = "1"
    if isinstance(error, TooMany):
        headers["Retry-After"] = str(error.details.get("retry_after", 1))
    content: dict[str, object] = {"success": False, "message": error.message, "details": error.details}
    if is_model:
        kind = MODEL_FAULTS.get(HTTPStatus(error.status), "invalid_request_error")
        content |= {"type": "error", "error": {"type": kind, "message": error.message}}
    await send(near, status, content, headers=headers, reason=error.message, closes=closes)


async def send(
    near: Peer,
    status: int,
    content: Mapping[str, object],
    *,
    headers: Mapping[str, str] | None = None,
    reason: str = "",
    closes: bool = False,
) -> None:
    """Answer with JSON."""
    body = json.dumps(content).encode()
    given = {"Content-Type": "application/json", "Content-Length": str(len(body)), **(headers or {})}
    if closes:
        given["Connection"] = "close"
    response = h11.Response(
        status_code=status,
        headers=list(given.items()),
        reason=_reason(reason) or HTTPStatus(status).phrase,
    )
    await near.send(response)
    await near.send(h11.Data(data=body))
    await near.send(h11.EndOfMessage())


def _reason(text: str) -> str:
    """A sentence as a status line takes it."""
    return one_line(text)[:LONGEST_REASON].encode("ascii", "replace").decode()
