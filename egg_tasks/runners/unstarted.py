"""Why a program was not executed, in one sentence; the shim's, standard library only."""

from __future__ import annotations

import errno
import os

UNRUNNABLE, MISSING = {errno.ENOENT, errno.EACCES, errno.ENOEXEC, errno.ENOTDIR}, "missing: "
UNKNOWN = "neither a binary nor a script with a #! line"


def explain(error: Exception, program: str) -> str:
    """Return one sentence on why *program* was not executed; marked where it is vain to try again."""
    number = error.errno if isinstance(error, OSError) else None
    return (MISSING if number in UNRUNNABLE else "") + _sentence(error, number, program)


def _sentence(error: Exception, number: int | None, program: str) -> str:
    if number == errno.ENOENT and "/" not in program:
        return f"no such program on PATH: {program}"
    if number == errno.ENOENT and os.path.exists(program):  # noqa: PTH110 - as the shim, without pathlib
        return f"the interpreter in the first line of {program} does not exist"
    reasons = {errno.ENOENT: "no such file", errno.EACCES: "not executable", errno.ENOEXEC: UNKNOWN}
    if number in reasons:
        return f"{reasons[number]}: {program}"
    return f"cannot start {program}: {os.strerror(number) if number else error}"
