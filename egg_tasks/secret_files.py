"""Secrets of this machine: files in one directory that is closed to others, with the names definitions give.

They are read anew for every agent that is launched, and by nobody else.
"""

import os
import pwd
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from shlex import quote

from egg_tasks import shell
from models.errors import NotSet
from models.setting_names import VARIABLE

MOST_BYTES = 64 * 1024
"""More than any key takes, and less than a variable may hold."""
OTHERS = 0o077


def file(directory: Path, name: str) -> Path:
    """The file of a secret, closed to all but its owner; `NotSet`, with the way out, if there is none."""
    path = directory / name
    for found in (directory, path):
        if fault := _fault(found, is_directory=found == directory):
            raise NotSet(f"the secret {name} is not to be had where the agent is launched; {fault}")
    return path


def value(directory: Path, name: str) -> str:
    """What a secret is, without the end of its last line; `NotSet`, with the way out, if it can be none."""
    path = file(directory, name)
    try:
        # What was put in place of a file meanwhile is not waited for.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as opened:  # noqa: PTH123
            content = opened.read(MOST_BYTES + 1)
    except OSError as error:
        raise NotSet(f"the secret {name} cannot be read from {path} ({error.strerror})") from error
    if len(content) > MOST_BYTES:
        raise NotSet(f"{path} holds more than the {MOST_BYTES} bytes that a secret may have")
    try:
        text = content.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        text = "\0"
    if not text or "\0" in text:
        what = "holds what is no text" if text else "is empty"
        raise NotSet(f"{path} {what}, and is to hold the secret {name}")
    shell.refuse_ours(name, text)
    return text


def names(directory: Path) -> list[str]:
    """The secrets that are there, whether they can be given or not."""
    try:
        return sorted(each.name for each in directory.iterdir() if re.fullmatch(VARIABLE, each.name))
    except OSError:
        return []


def faults(directory: Path) -> Iterator[str]:
    """Why secrets that are there are given to no agent, each with the way out."""
    if not directory.exists():
        return
    if fault := _fault(directory, is_directory=True):
        yield fault
        return
    yield from filter(None, (_fault(directory / name, is_directory=False) for name in names(directory)))


def _fault(path: Path, *, is_directory: bool) -> str:
    """Why a file, or the directory of all, is not to hold secrets, with the way out; empty if it is."""
    shown, mode = quote(str(path)), 700 if is_directory else 600
    try:
        found = path.stat()
    except FileNotFoundError:
        way = f"`mkdir -m 700 {shown}`, and " if is_directory else ""
        return f"there is no {shown}: {way}write it there, with `umask 077`"
    except OSError as error:
        return f"{shown} is not to be looked at ({error.strerror}): mend that"
    if not (stat.S_ISDIR if is_directory else stat.S_ISREG)(found.st_mode):
        return f"{shown} is no {'directory' if is_directory else 'file'}: move it away"
    if found.st_uid not in {os.geteuid(), 0}:
        return f"{shown} belongs to {_name(found.st_uid)}: `chown {_name(os.geteuid())} {shown}`"
    if found.st_mode & OTHERS:
        return f"{shown} is open to others: `chmod {mode} {shown}`"
    return ""


def _name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return str(user)
