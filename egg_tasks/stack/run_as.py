"""As whom servers run: ourselves, or an account of their own when we are root, which PostgreSQL refuses."""

import os
import pwd
import secrets
import stat
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from models.errors import Unprocessable

UNNAMED = (range(1879048192, 2147483647), range(60578, 61184))
"""User ids that systemd's list says no distribution, login, container or service gets; a container may have
the second range only."""


@dataclass(frozen=True)
class Account:
    """A user of the operating system."""

    uid: int
    gid: int


class RunAs(TypedDict, total=False):
    """What `subprocess` must be told to start a program as somebody else."""

    user: int
    group: int
    extra_groups: list[int]


def identity(account: Account | None) -> RunAs:
    """Return the arguments that make a child run as *account*, without root's further groups."""
    if account is None:
        return {}
    return {"user": account.uid, "group": account.gid, "extra_groups": []}


def of_servers(cluster: Path) -> Account | None:
    """Return the account that servers run as when we are root; None when they run as ourselves.

    It is the *cluster*'s alone: a user id without a name, chosen when the cluster is made and kept as the
    owner of its directory, so that no user of the machine is added and none can become it.
    """
    if os.geteuid() != 0:
        return None
    with suppress(FileNotFoundError):
        found = cluster.lstat()
        if any(found.st_uid in span for span in UNNAMED):
            return Account(found.st_uid, found.st_uid)
    mapped = _mapped()
    for span in UNNAMED:
        if any(span[0] in each and span[-1] in each for each in mapped):
            number = secrets.choice(span)
            while _is_named(number):
                number = secrets.choice(span)
            return Account(number, number)
    raise Unprocessable(
        "PostgreSQL does not run as root, and here root may become no user that nobody else is "
        "(/proc/self/uid_map): start the stack as an ordinary user, or set EGG_DATABASE_URL to a running "
        "server"
    )


def maker(account: Account | None) -> Account | None:
    """Return as whom a cluster of *account* is made: initdb wants a user with a name, and gets our group."""
    if account is None:
        return None
    try:
        return Account(pwd.getpwnam("nobody").pw_uid, account.gid)
    except KeyError as error:
        raise Unprocessable(
            "PostgreSQL does not run as root, and this machine has no user `nobody` to make its files: "
            "start the stack as an ordinary user, or set EGG_DATABASE_URL to a running server"
        ) from error


def own_tree(directory: Path, account: Account) -> None:
    """Give *directory* and all in it to *account*.

    The directory itself comes last and is closed to all but us before: a crash leaves it to be done again.
    """
    os.chown(directory, 0, 0)
    directory.chmod(0o700)
    for path, directories, files, descriptor in os.fwalk(directory, follow_symlinks=False):
        for name in (*directories, *files):
            found = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
            if stat.S_ISREG(found.st_mode) and found.st_nlink > 1:
                raise Unprocessable(
                    f"{path}/{name} is a file with two names, as none of PostgreSQL is: remove it"
                )
            os.chown(name, account.uid, account.gid, dir_fd=descriptor, follow_symlinks=False)
    os.chown(directory, account.uid, account.gid)


def own_directory(path: Path, account: Account | None) -> Path:
    """Make *path* (if need be) a directory that only *account* enters."""
    path.mkdir(mode=0o700, exist_ok=True)
    if account is not None:
        os.chown(path, account.uid, account.gid)
    path.chmod(0o700)
    return path


def closed_parent(path: Path) -> Path | None:
    """Return the first directory on the way to *path* that other users cannot pass, if there is one."""
    for parent in reversed(path.resolve().parents):
        if not parent.stat().st_mode & 0o001:
            return parent
    return None


def our_name() -> str:
    """Return the name PostgreSQL knows our user by."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError as error:
        raise Unprocessable(
            f"this machine has no name for the user {os.geteuid()}, which PostgreSQL asks for: "
            "add one to /etc/passwd, or set EGG_DATABASE_URL to a running server"
        ) from error


def _mapped() -> Sequence[range]:
    """The user ids that exist here: in a container they may be few."""
    try:
        lines = Path("/proc/self/uid_map").read_text().splitlines()
    except OSError:
        return [range(2**32)]
    spans = [(int(line.split()[0]), int(line.split()[2])) for line in lines]
    return [range(first, first + count) for first, count in spans]


def _is_named(number: int) -> bool:
    with suppress(KeyError):
        return bool(pwd.getpwuid(number))
    return False
