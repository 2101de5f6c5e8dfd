"""Whether a server answers, asked in its own protocol with nothing but a socket, so the asker stays small."""

import http.client
import os
import socket
import struct
from http import HTTPStatus
from pathlib import Path

SECONDS = 2.0
PROTOCOL_3 = 196608


def postgres_answers(path: Path, *, user: str, database: str) -> bool:
    """Whether PostgreSQL lets *user* into *database* at the socket *path* without a password."""
    words = b"".join(word.encode() + b"\0" for word in ("user", user, "database", database)) + b"\0"
    answer = _ask(path, struct.pack("!ii", len(words) + 8, PROTOCOL_3) + words)
    return answer.startswith(b"R")


def valkey_answers(path: Path) -> bool:
    """Whether Valkey has loaded what it kept and answers at the socket *path*."""
    return _ask(path, b"PING\r\n").startswith(b"+PONG")


def http_answers(port: int, path: str) -> bool:
    """Whether a server on loopback answers *path* with 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def gateway_answers(path: Path) -> bool:
    """Whether the gateway answers at the socket *path*, in a directory that may have a long name."""
    try:
        place = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        answer = _ask(Path(f"/proc/self/fd/{place}", path.name), b"GET /health HTTP/1.1\r\nHost: us\r\n\r\n")
    finally:
        os.close(place)
    return answer.startswith(b"HTTP/1.1 200 ")


def _ask(path: Path, question: bytes) -> bytes:
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(SECONDS)
            connection.connect(str(path))
            connection.sendall(question)
            return connection.recv(4096)
    except OSError:
        return b""
