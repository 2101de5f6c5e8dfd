"""The ends of a stack's logs, and how they go on while the supervisor cuts them short."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from egg_tasks.stack import logs

PIECE = 64 * 1024
REMEMBERED = 512
"""So many bytes of what was read last are looked for in what was cut away, to go on behind them."""


@dataclass(frozen=True)
class Log:
    """The log of one process."""

    name: str
    path: Path
    bytes: int
    written_at: datetime
    last: str
    """Its last line."""


def listed(directory: Path) -> list[Log]:
    """The logs there are, by name; those of processes that never ran here are not."""
    found = []
    for path in sorted(directory.glob("*.log")):
        with suppress(FileNotFoundError):
            state = path.stat()
            written_at = datetime.fromtimestamp(state.st_mtime, UTC)
            found.append(Log(path.stem, path, state.st_size, written_at, logs.tail(path, lines=1)))
    return found


def end(path: Path, *, lines: int) -> bytes:
    """The last *lines* lines of a log, with those of its older pieces where it has too few."""
    blocks: list[bytes] = []
    breaks = 0
    for block in _backwards(path):
        if breaks > lines:
            break
        blocks.insert(0, block)
        breaks += block.count(b"\n")
    found = b"".join(blocks)
    # A line that is not at its end yet is one, too.
    kept = found.removesuffix(b"\n").split(b"\n")[-lines:] if lines and found else []
    return b"\n".join(kept) + b"\n" * (bool(kept) and found.endswith(b"\n"))


class Follower:
    """Reads what is added to a log; one that is cut is read on from where it was."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = path.stat().st_size if path.exists() else 0
        self._last = self._before()

    def read(self) -> bytes:
        """All that has been added since it was read last."""
        try:
            rest = self._left_behind() if self._is_cut() else b""
            with self._path.open("rb") as log:
                log.seek(self._offset)
                added = log.read()
        except FileNotFoundError:
            return b""
        self._offset += len(added)
        self._last = self._before()
        return rest + added

    def _before(self) -> bytes:
        """What stands in the log right before where it was read to."""
        if not self._offset:
            return b""
        with self._path.open("rb") as log:
            start = max(0, self._offset - REMEMBERED)
            log.seek(start)
            return log.read(self._offset - start)

    def _is_cut(self) -> bool:
        """Whether it is another text by now; one that has grown again may be as long as before."""
        return self._path.stat().st_size < self._offset or self._before() != self._last

    def _left_behind(self) -> bytes:
        """What was added before the cut and not read; nothing where that cannot be told."""
        self._offset = 0
        try:
            piece = logs.older(self._path, 1).read_bytes()
        except OSError:
            return b""
        at = piece.rfind(self._last)
        return piece[at + len(self._last) :] if at >= 0 else b""


def _backwards(path: Path) -> Iterator[bytes]:
    """What is in a log and its older pieces, from its end to their beginning."""
    for piece in (path, *(logs.older(path, number) for number in range(1, logs.KEPT + 1))):
        with suppress(FileNotFoundError), piece.open("rb") as file:
            at = piece.stat().st_size
            while at > 0:
                start = max(0, at - PIECE)
                file.seek(start)
                yield file.read(at - start)
                at = start
