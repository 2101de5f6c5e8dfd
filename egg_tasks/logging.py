"""Logs of our own processes: one line an event on stderr, for people and programs. Logging never fails."""

import logging
import os
from contextlib import suppress
from typing import TextIO, cast

import structlog
from structlog.typing import EventDict, WrappedLogger

from models.foreign import hanging, one_line
from models.masking import masked

STDERR = 2


def configure() -> None:
    """Write structlog's events as key=value lines with a UTC time; called once by each process."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _on_one_line,
            structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(file=cast("TextIO", Unfailing(STDERR))),
    )


def beat() -> None:
    """Touch the log without a word, as a sign that this process gets on: who is silent may hang."""
    with suppress(OSError):
        os.utime(STDERR)


class Unfailing:
    """A text stream onto a descriptor. What cannot be written (a full disk, a closed pipe) is counted.

    How many lines are missing is said in the place where they are, as soon as that can be written.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._line = ""
        self.lost = 0

    def write(self, text: str) -> int:
        """Keep *text* until it is flushed."""
        self._line += text
        return len(text)

    def flush(self) -> None:
        """Write the line that was kept, or count it."""
        line, self._line = self._line, ""
        if not line:
            return
        if self.lost:
            line = f"\nlevel=warning event=log.lost lines={self.lost}\n{line}"
        unwritten = line.encode("utf-8", "backslashreplace")
        try:
            while unwritten:
                unwritten = unwritten[os.write(self._descriptor, unwritten) :]
        except OSError:
            self.lost += 1
        else:
            self.lost = 0


def _on_one_line(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    """Have no value of an event leave its line, whoever's words are in it; the renderer knows line feeds."""
    return {
        name: value
        if isinstance(value, bool | int | float | None)
        else "\n".join(map(one_line, masked(str(value)).split("\n")))
        for name, value in event.items()
    }


class Indenting(logging.Formatter):
    """Has each further line of a record, a traceback's say, begin with a mark of ours: it quotes others."""

    def __init__(self, inner: logging.Formatter | None) -> None:
        super().__init__()
        self._inner = inner or logging.Formatter()

    def format(self, record: logging.LogRecord) -> str:
        """Write a record."""
        return hanging(masked(self._inner.format(record)))
