"""As whom servers run: ourselves, or `nobody` when we are root, which PostgreSQL refuses to be."""

import os
import pwd
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from models.errors import Unprocessable


@dataclass(frozen=True)
class Account:
    """A user of the operating system."""

    name: str
    uid: int
    gid: int


class Identity(TypedDict, total=False):
    """What `subprocess` must be told to start a program as somebody else."""

    user: int
    group: int
    extra_groups: list[int]


def identity(account: Account | None) -> Identity:
    """Return the arguments that make a child run as *account*, without root's further groups."""
    if account is None:
        return {}
    return {"user": account.uid, "group": account.gid, "extra_groups": []}


def unprivileged() -> Account | None:
    """Return the account servers run as when we are root; None when they run as ourselves."""
    if os.geteuid() != 0:
        return None
    try:
        found = pwd.getpwnam("nobody")
    except KeyError as error:
        raise Unprocessable(
            "PostgreSQL does not run as root, and this machine has no user `nobody`: "
            "start the stack as an ordinary user, or set EGG_DATABASE_URL to a running server"
        ) from error
    return Account(found.pw_name, found.pw_uid, found.pw_gid)


def own_directory(path: Path, account: Account | None) -> Path:
    """Make *path* (if need be) a directory that only *account* enters."""
    path.mkdir(mode=0o700, exist_ok=True)
    if account is not None:
        shutil.chown(path, account.uid, account.gid)
    path.chmod(0o700)
    return path


def closed_parent(path: Path) -> Path | None:
    """Return the first directory on the way to *path* that other users cannot pass, if there is one."""
    for parent in reversed(path.resolve().parents):
        if not parent.stat().st_mode & 0o001:
            return parent
    return None
