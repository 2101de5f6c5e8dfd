"""A git process: spoken to without a thread, and ended with whatever it has started."""

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import IO

from egg_tasks.workspace import bounds
from models.errors import TookTooLong

PIECE = 256 * 1024
MOST_ERRORS = 64 * 1024
"""Bytes that are kept of what git says is wrong."""


class PipedProcess:
    """One that was just started, with pipes."""

    def __init__(self, process: "subprocess.Popen[bytes]", what: str, *, is_attended: bool) -> None:
        self._process = process
        self._what = what
        self._is_attended = is_attended
        self._errors = bytearray()
        bounds.confine(process.pid)

    @property
    def code(self) -> int:
        """How it ended."""
        return self._process.returncode

    @property
    def errors(self) -> str:
        """What it said is wrong."""
        return self._errors.decode("utf-8", "backslashreplace")

    def exchange(self, given: bytes | IO[bytes], timeout: timedelta) -> Iterator[bytes]:
        """Give it *given* and take what it says, until it has ended; `TookTooLong` if it does not.

        Its errors are kept aside, as far as there is room.
        """
        seconds = bounds.seconds_left(timeout, self._what)
        deadline = time.monotonic() + seconds
        late = TookTooLong(f"{self._what} took longer than {max(1, round(seconds))} s")
        with selectors.DefaultSelector() as selector:
            waiting = self._register(selector, given)
            while selector.get_map():
                ready = selector.select(max(0, deadline - time.monotonic()))
                if not ready and time.monotonic() >= deadline:
                    raise late
                for key, _ in ready:
                    if key.fileobj is self._process.stdin:
                        waiting = self._give(selector, waiting)
                    elif part := os.read(key.fd, PIECE):
                        if key.fileobj is self._process.stdout:
                            yield part
                        elif len(self._errors) < MOST_ERRORS:
                            self._errors += part
                    else:
                        selector.unregister(key.fileobj)
        try:
            self._process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired as error:
            raise late from error

    def end(self) -> None:
        """Close the pipes, and kill it if it still runs: with its session, if that is its own."""
        if self._process.poll() is None:
            if self._is_attended:
                self._process.kill()
            else:
                # Its own session, so that a transport program it started dies with it.
                os.killpg(self._process.pid, signal.SIGKILL)
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()
        self._process.wait()

    def _register(self, selector: selectors.BaseSelector, given: bytes | IO[bytes]) -> memoryview:
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                selector.register(pipe, selectors.EVENT_READ)
        if self._process.stdin is not None:
            os.set_blocking(self._process.stdin.fileno(), False)
            selector.register(self._process.stdin, selectors.EVENT_WRITE)
        return memoryview(given if isinstance(given, bytes) else b"")

    def _give(self, selector: selectors.BaseSelector, waiting: memoryview) -> memoryview:
        pipe = self._process.stdin
        assert pipe is not None, "only a pipe is registered"  # noqa: S101
        try:
            waiting = waiting[os.write(pipe.fileno(), waiting[:PIECE]) :] if waiting else waiting
        except BlockingIOError:
            return waiting
        except BrokenPipeError:
            waiting = waiting[:0]
        if not waiting:
            selector.unregister(pipe)
            pipe.close()
        return waiting
