"""Standard input and output as they may be: closed, full, of any encoding, with any bytes in them."""

import errno
import io
import os
import sys
from contextlib import suppress

from models.errors import EggError, Malformed, TooLarge, Unavailable

LONGEST_INPUT = 16 << 20
"""Bytes. What may be sent is far shorter; what never ends must not fill the memory."""

OF_OUTPUT = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF, errno.EPIPE, errno.ECONNRESET}
)


def prepare() -> None:
    """Have every stream there, and none that a character could break: it shows the code of what it cannot."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w" if number else "r", encoding="utf-8"))  # noqa: PTH123, SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def finish() -> None:
    """Write what is still to be written; the error is one that `refused` knows."""
    sys.stdout.flush()


def refused(error: Exception) -> EggError | None:
    """What an error means if it is that standard output cannot be written; else None.

    No more is written then, also not at the interpreter's end, which would complain.
    """
    if not isinstance(error, OSError) or error.filename or error.errno not in OF_OUTPUT:
        return None
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return Unavailable(f"standard output cannot be written ({error.strerror}): what was printed is not whole")


def read() -> str:
    """Read standard input as UTF-8; an error for what is no text, too long, or cannot be read."""
    try:
        found = sys.stdin.buffer.read(LONGEST_INPUT + 1)
    except OSError as error:
        raise Malformed(f"standard input cannot be read: {error.strerror}") from error
    if len(found) > LONGEST_INPUT:
        raise TooLarge(f"standard input is longer than {LONGEST_INPUT >> 20} MiB")
    try:
        return found.decode()
    except UnicodeDecodeError as error:
        raise Malformed(
            f"standard input is no UTF-8 text: byte {error.start + 1} is 0x{found[error.start]:02x};"
            " convert it first, with `iconv -f latin1 -t utf-8`, say"
        ) from error
