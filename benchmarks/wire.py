"""A client of one connection for many at once: just enough HTTP to post and to wait."""

import asyncio
import json
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit


class Wire:
    """One caller; it connects when it is first used."""

    def __init__(self, url: str, token: str) -> None:
        self._where = urlsplit(url)
        self._token = token
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Ask once; the data of the answer."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._where.hostname, self._where.port)
        reader, writer = self._streams
        content = json.dumps(body).encode() if body is not None else b""
        head = (
            f"{method} /api/v1{path} HTTP/1.1\r\nHost: {self._where.netloc}\r\n"
            f"Authorization: Bearer {self._token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        )
        writer.write(head.encode() + content)
        answered = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(answered.split(b"content-length:")[1].split(b"\r\n")[0])
        text = await reader.readexactly(length)
        status = int(answered.split()[1])
        assert status < HTTPStatus.BAD_REQUEST, text  # noqa: S101
        return dict(json.loads(text)["data"])

    def close(self) -> None:
        """Hang up."""
        if self._streams is not None:
            self._streams[1].close()
