"""A provider of models for tests: Messages, Responses and Chat Completions, played by a script.

`python -m tests.provider_stub PORT SCRIPT`: the script is JSON, `{WORD: [STEP, …]}`. A request plays those
of the first word that its body holds, such as a role's name, and `*` is everybody's; the last step is played
again and again. What a step may say is `Step`.
"""

import gzip
import json
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

MODEL = "stub-1"
ANYBODY = "*"


@dataclass(frozen=True, kw_only=True)
class Step:
    """What is answered to one request."""

    status: int = 200
    text: str = "All is well."
    model: str = MODEL
    input: int = 12
    """Read anew; what comes from or goes into the cache is beside it, whatever the format makes of that."""
    cache_read: int = 0
    cache_write: int = 0
    output: int = 5
    reasoning: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    cut_after: int | None = None
    """Hang up after so many events of a stream; 0 is without an answer."""
    stall: float = 0
    """Seconds of silence after the first event of a stream, or before any other answer."""
    split: int = 0
    """Send a stream in pieces of so many bytes, whatever they cut through."""
    packed: bool = False
    """Send it gzipped, asked or not."""


@dataclass(frozen=True)
class AskedOnce:
    """A request as it came."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class Stub(ThreadingHTTPServer):
    """The provider."""

    daemon_threads = True

    def __init__(self, script: Mapping[str, Sequence[Step]], port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Answering)
        self.script = {word: list(steps) for word, steps in script.items()}
        self.asked: list[AskedOnce] = []
        self._turn = threading.Lock()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.server_port}"

    def next_step(self, asked: AskedOnce) -> Step:
        """Whose turn it is, and what is played."""
        with self._turn:
            self.asked.append(asked)
            word = next((each for each in self.script if each.encode() in asked.body), ANYBODY)
            steps = self.script.get(word) or [Step()]
            return steps.pop(0) if len(steps) > 1 else steps[0]


class Answering(BaseHTTPRequestHandler):
    """One connection to it."""

    protocol_version = "HTTP/1.1"
    server: Stub

    def do_GET(self) -> None:
        """Say which models there are."""
        self.server.next_step(self._asked())
        self._send(200, "application/json", json.dumps({"data": [{"id": MODEL}]}).encode())

    def do_POST(self) -> None:
        """Answer as a model."""
        asked = self._asked()
        step = self.server.next_step(asked)
        wanted = json.loads(asked.body or b"{}")
        if step.cut_after == 0:
            self.close_connection = True
        elif step.status != 200:
            time.sleep(step.stall)
            fault = {
                "type": "error",
                "error": {"type": "stub_error", "message": f"the stub says {step.status}"},
            }
            self._send(step.status, "application/json", json.dumps(fault).encode(), step.headers)
        elif wanted.get("stream"):
            self._stream(step, list(events(asked.path, step, wanted)))
        else:
            time.sleep(step.stall)
            content = json.dumps(whole(asked.path, step)).encode()
            packed = {"Content-Encoding": "gzip"} if step.packed else {}
            self._send(200, "application/json", gzip.compress(content) if step.packed else content, packed)

    def _asked(self) -> AskedOnce:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        return AskedOnce(self.command, self.path, headers, body)

    def _send(self, status: int, kind: str, content: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {
            "Content-Type": kind,
            "Content-Length": str(len(content)),
            **(headers or {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def _stream(self, step: Step, said: Sequence[bytes]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for number, event in enumerate(said):
            if number == step.cut_after:
                self.close_connection = True
                return
            for at in range(0, len(event), step.split or len(event)):
                piece = event[at : at + (step.split or len(event))]
                self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
                self.wfile.flush()
            if number == 0:
                time.sleep(step.stall)
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


def whole(path: str, step: Step) -> dict[str, Any]:
    """An answer in one piece."""
    if path.endswith("/messages"):
        content = [{"type": "text", "text": step.text}]
        return {"type": "message", "model": step.model, "content": content, "usage": _usage(path, step)}
    if path.endswith("/responses"):
        said = [{"type": "message", "content": [{"type": "output_text", "text": step.text}]}]
        return {"object": "response", "model": step.model, "output": said, "usage": _usage(path, step)}
    if path.endswith("/chat/completions"):
        choices = [{"index": 0, "message": {"role": "assistant", "content": step.text}}]
        return {
            "object": "chat.completion",
            "model": step.model,
            "choices": choices,
            "usage": _usage(path, step),
        }
    return {"object": "other", "text": step.text}


def events(path: str, step: Step, wanted: Mapping[str, Any]) -> Iterator[bytes]:
    """The events of a stream."""
    words = [f"{word} " for word in step.text.split()]
    if path.endswith("/messages"):
        yield from _messages(path, step, words)
    elif path.endswith("/responses"):
        yield _event("response.created", response={"model": step.model, "usage": None})
        for word in words:
            yield _event("response.output_text.delta", delta=word)
        yield _event("response.completed", response=whole(path, step))
    else:
        for word in words:
            yield _data(
                {"model": step.model, "choices": [{"index": 0, "delta": {"content": word}}], "usage": None}
            )
        if wanted.get("stream_options", {}).get("include_usage"):
            yield _data({"model": step.model, "choices": [], "usage": _usage(path, step)})
        yield b"data: [DONE]\n\n"


def _messages(path: str, step: Step, words: Sequence[str]) -> Iterator[bytes]:
    usage = _usage(path, step)
    first = {"type": "message", "model": step.model, "content": [], "usage": {**usage, "output_tokens": 1}}
    yield _event("message_start", message=first)
    yield _event("content_block_start", index=0, content_block={"type": "text", "text": ""})
    for word in words:
        yield _event("content_block_delta", index=0, delta={"type": "text_delta", "text": word})
    yield _event("content_block_stop", index=0)
    yield _event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": step.output})
    yield _event("message_stop")


def _usage(path: str, step: Step) -> dict[str, Any]:
    if path.endswith("/messages"):
        return {
            "input_tokens": step.input,
            "cache_read_input_tokens": step.cache_read,
            "cache_creation_input_tokens": step.cache_write,
            "output_tokens": step.output,
        }
    read, written = ("prompt", "completion") if path.endswith("/completions") else ("input", "output")
    return {
        f"{read}_tokens": step.input + step.cache_read,
        f"{read}_tokens_details": {"cached_tokens": step.cache_read},
        f"{written}_tokens": step.output,
        f"{written}_tokens_details": {"reasoning_tokens": step.reasoning},
    }


def _event(kind: str, **more: object) -> bytes:
    return f"event: {kind}\n".encode() + _data({"type": kind, **more})


def _data(said: Mapping[str, object]) -> bytes:
    return b"data: " + json.dumps(said).encode() + b"\n\n"


@contextmanager
def serving(**script: Sequence[Step]) -> Iterator[Stub]:
    """A provider on a port of loopback until the context ends; `anybody` is `*`."""
    words = {ANYBODY if word == "anybody" else word: steps for word, steps in script.items()}
    with Stub(words) as stub:
        threading.Thread(target=stub.serve_forever, args=(0.01,)).start()
        try:
            yield stub
        finally:
            stub.shutdown()


def read(path: Path) -> dict[str, list[Step]]:
    """A script."""
    return {word: [Step(**each) for each in steps] for word, steps in json.loads(path.read_text()).items()}


if __name__ == "__main__":
    with Stub(read(Path(sys.argv[2])), int(sys.argv[1])) as provider:
        sys.stdout.write(f"{provider.url}\n")
        sys.stdout.flush()
        provider.serve_forever()
