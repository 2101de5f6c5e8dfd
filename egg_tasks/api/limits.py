"""What a request may bring: JSON, and not too much of it."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from egg_tasks.api.envelope import refused
from models.errors import Malformed, TooLarge

MAX_BODY = 1024 * 1024
MAX_DISCARDED = 16 * MAX_BODY
"""Up to so much is read and thrown away, so that who sends too much reads the answer and no reset."""

NOT_JSON = "send the body as JSON, with the header Content-Type: application/json"


class BodyLimit:
    """Refuses a body of more than 1 MiB, or one that is not sent as JSON, before anybody parses it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the body whole and pass it on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        body, size, is_whole = bytearray(), 0, False
        while not is_whole and size <= MAX_DISCARDED:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            part = message.get("body", b"")
            size += len(part)
            if size <= MAX_BODY:
                body += part
            is_whole = not message.get("more_body", False)
        if size > MAX_BODY:
            await refused(TooLarge("a request's body is at most 1 MiB"))(scope, receive, send)
            return
        if body and not _is_json(scope):
            await refused(Malformed(NOT_JSON))(scope, receive, send)
            return
        await self.app(scope, _replaying(bytes(body), receive), send)


def _is_json(scope: Scope) -> bool:
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    return any(name == b"content-type" and b"json" in value.lower() for name, value in headers)


def _replaying(body: bytes, receive: Receive) -> Receive:
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return messages.pop() if messages else await receive()

    return replay
