"""How a file that an agent may have put there is opened: what is none, or too long, is an `OSError`."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
"""Not blocking, so that a pipe in its place holds nobody up."""


@contextmanager
def opened(path: Path, *, longest: int) -> Iterator[IO[bytes]]:
    """Open a regular file of at most so many bytes; a link, a pipe or a directory is none."""
    with open(os.open(path, FLAGS), "rb") as file:  # noqa: PTH123 - opened by descriptor
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode) or found.st_size > longest:
            raise OSError(errno.EINVAL, "not a plain file", str(path))
        yield file
