"""What a request may bring: JSON, not too much of it, and within a time."""

import asyncio
import re
from itertools import islice

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from egg_tasks.api.envelope import refused
from models.errors import EggError, Malformed, TooLarge

KIB = 1024
MAX_DEFINITION = 1024 * KIB
MAX_SAID = 512 * KIB
"""64 KiB of text and 16 KiB of metadata, of which JSON may write each byte as six."""
MAX_SIGNAL = 256 * KIB
"""64 KiB of text, in whatever script."""
MAX_OTHER = 16 * KIB
LARGEST = {
    "pipelines": MAX_DEFINITION,
    "messages": MAX_SAID,
    "results": MAX_SAID,
    "signal": MAX_SIGNAL,
    "decisions": MAX_SIGNAL,
    "resolve": MAX_SIGNAL,
}
"""How many bytes a body may have, by the last word of the path it is sent to."""
MAX_VALUES = {"pipelines": 10_000}
MOST_VALUES = 2_000
"""Where nothing else is said: to find fault with each takes a millisecond or two."""
MAX_DEPTH = 100
SECONDS = 30.0
"""For the whole of a body."""

NOT_JSON = "send the body as JSON, with the header Content-Type: application/json"
_TEXT = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
"""A string of JSON. One without an end reaches to the end, so that nothing is looked at twice."""
_BRACKET = re.compile(rb"[\[\]{}]")


class Bodies:
    """Refuses a body that is too long, too slow, no JSON or too much of it, before anybody parses it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the body whole and pass it on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            body = await _read(scope, receive)
        except EggError as error:
            await refused(error)(scope, receive, send)
            return
        if body is not None:
            await self.app(scope, replaying(body, receive), send)


async def _read(scope: Scope, receive: Receive) -> bytes | None:
    """The body; None when who sent it has hung up."""
    last = scope["path"].rpartition("/")[2]
    most = LARGEST.get(last, MAX_OTHER)
    if _announced(scope) > most:
        raise _too_long(most)
    body = bytearray()
    try:
        async with asyncio.timeout(SECONDS):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return None
                body += message.get("body", b"")
                if len(body) > most:
                    raise _too_long(most)
                if not message.get("more_body", False):
                    break
    except TimeoutError as error:
        raise Malformed(f"the rest of the body did not come within {SECONDS:.0f} s") from error
    if body and not _is_json(scope):
        raise Malformed(NOT_JSON)
    check(bytes(body), most=MAX_VALUES.get(last, MOST_VALUES))
    return bytes(body)


def check(body: bytes, *, most: int) -> None:
    """Refuse JSON of more than *most* values, or nested deeper, by its characters alone.

    Built and checked value by value, a body of 1 MiB would hold up everybody for seconds.
    """
    too_many = TooLarge(f"a request's body holds at most {most} values")
    # Of strings there are two for a value at most: counted first, since that is quicker.
    strings = (body.count(b'"') - body.count(b'\\"')) // 2
    if strings > 2 * most:
        raise too_many
    opened = body.count(b"[") + body.count(b"{")
    if opened <= MAX_DEPTH and opened + body.count(b",") <= most:
        return  # Of what texts hold some is counted here, too: without it there is no more.
    bare, depth = _TEXT.sub(b"", body), 0
    for found in islice(_BRACKET.finditer(bare), 2 * most):
        depth += 1 if found[0] in b"[{" else -1
        if depth > MAX_DEPTH:
            raise Malformed(f"a request's body is nested at most {MAX_DEPTH} levels deep")
    if sum(map(bare.count, (b",", b"[", b"{"))) > most:
        raise too_many


def _too_long(most: int) -> TooLarge:
    return TooLarge(f"the body of this request is at most {most // KIB} KiB", {"bytes": most})


def _announced(scope: Scope) -> int:
    """How many bytes the request says that it brings."""
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    said = [value for name, value in headers if name == b"content-length"]
    return int(said[0]) if said and said[0].isdigit() else 0


def _is_json(scope: Scope) -> bool:
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    return any(name == b"content-type" and b"json" in value.lower() for name, value in headers)


def replaying(body: bytes, receive: Receive) -> Receive:
    """Receive a body that was read already, and then what comes."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return messages.pop() if messages else await receive()

    return replay
