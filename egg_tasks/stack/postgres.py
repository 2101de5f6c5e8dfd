"""PostgreSQL of the local stack: its cluster is made whole or not at all, its server a foreground child."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote, urlsplit

from egg_tasks.stack import binaries, home, orphans, probes
from egg_tasks.stack.processes import Program
from egg_tasks.stack.run_as import Account, identity, maker, of_servers, our_name, own_directory, own_tree
from models.errors import Unavailable, Unprocessable

USER = DATABASE = "egg"
SOCKET = ".s.PGSQL.5432"
ENVIRONMENT = {"LC_ALL": "C", "PATH": "/usr/bin:/bin", "TZ": "UTC"}
INITDB = ("--username", USER, "--encoding=UTF8", "--locale=C", "--auth=reject")
HBA = f"local all all peer map={USER}\n"
"""Who reaches the socket is whom the kernel says: there is no password to keep, and none to lose."""

IDENT = ("egg", "all")
"""Whom our user may be. Before 16 `all` is a name as any other, so that `egg` is said as well."""

SETTINGS = ("listen_addresses=", "max_connections=200", "unix_socket_permissions=0700", "log_timezone=UTC")
COPIED = ("initdb", "postgres")


@dataclass(frozen=True)
class Postgres:
    """One cluster: the programs it runs with, as whom, where its files and its socket are."""

    programs: Path
    account: Account | None
    directory: Path
    sockets: Path

    @property
    def url(self) -> str:
        """Return how clients reach it."""
        return f"postgresql://{USER}@/{DATABASE}?host={quote(str(self.sockets), safe='')}"

    @property
    def access(self) -> Path:
        """Return where it reads whom it lets in: ours, not its own to change."""
        return self.directory.with_name("postgres.access")

    @property
    def socket(self) -> Path:
        """Return where it listens."""
        return self.sockets / SOCKET

    def program(self) -> Program:
        """Return the server as a child to keep."""
        access = (f"hba_file={self.access / 'pg_hba.conf'}", f"ident_file={self.access / 'pg_ident.conf'}")
        settings = (f'unix_socket_directories="{self.sockets}"', *access, *SETTINGS)
        options = (word for setting in settings for word in ("-c", setting))
        return Program(
            name="postgres",
            argv=(str(self.programs / "postgres"), "-D", str(self.directory), *options),
            environment=ENVIRONMENT,
            tier=0,
            account=self.account,
            before=self.clear,
            is_ready=self.answers,
            # fast shutdown; SIGTERM would wait until every client has gone
            stop_signal=signal.SIGINT,
            stop_seconds=60,
            orphan_signal=signal.SIGINT,
        )

    def answers(self) -> bool:
        """Whether it lets clients in."""
        return probes.postgres_answers(self.socket, user=USER, database=DATABASE)

    def clear(self) -> None:
        """Wait for a predecessor's last processes, then remove its locks: its pid may be another's by now."""
        orphans.clear(self.directory, names={"postgres"})
        for stale in (self.directory / "postmaster.pid", self.socket, self.sockets / f"{SOCKET}.lock"):
            stale.unlink(missing_ok=True)


def prepare(directory: Path, environ: Mapping[str, str]) -> Postgres:
    """Find the programs and make the cluster and its database in the stack's home, unless they are there."""
    account = of_servers(directory / "postgres")
    programs = _runnable(binaries.find_postgres(environ), account, directory)
    sockets = own_directory(home.sockets(directory) / "postgres", account)
    cluster = Postgres(programs, account, directory / "postgres", sockets)
    for broken in directory.glob("postgres.new-*"):
        shutil.rmtree(broken, ignore_errors=True)
    if not cluster.directory.exists():
        _create(cluster)
    elif account is not None and cluster.directory.stat().st_uid != account.uid:
        # made by a release that ran it as `nobody`, or brought from elsewhere
        cluster.clear()
        own_tree(cluster.directory, account)
    _check_version(cluster)
    _let_in(cluster)
    return cluster


def _create(cluster: Postgres) -> None:
    """Make the cluster and its database beside their place, then rename: a crash leaves nothing half-made."""
    around = Path(tempfile.mkdtemp(prefix="postgres.new-", dir=cluster.directory.parent))
    new = own_directory(around / "data", maker(cluster.account))
    if cluster.account is not None:
        # others of the maker's user lack the group
        os.chown(around, 0, cluster.account.gid)
        around.chmod(0o710)
    _run(cluster, "initdb", "-D", str(new), *INITDB)
    _run(cluster, "postgres", "--single", "-D", str(new), "postgres", say=f"CREATE DATABASE {DATABASE}\n")
    if cluster.account is not None:
        own_tree(new, cluster.account)
    new.rename(cluster.directory)
    around.rmdir()


def _let_in(cluster: Postgres) -> None:
    """Write down that our own user is let in as anybody and others are not; anew at each start."""
    lines = (f'{USER} "{our_name()}" {name}\n' for name in IDENT)
    with home.translated(cluster.access):
        cluster.access.mkdir(mode=0o755, exist_ok=True)
        cluster.access.chmod(0o755)
        for name, text in (("pg_hba.conf", HBA), ("pg_ident.conf", "".join(lines))):
            new = cluster.access / f"{name}.new"
            new.write_text(text)
            new.chmod(0o644)
            new.replace(cluster.access / name)


def _run(cluster: Postgres, name: str, *arguments: str, say: str = "") -> None:
    done = subprocess.run(
        [cluster.programs / name, *arguments],
        input=say,
        env=ENVIRONMENT,
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
        **identity(maker(cluster.account)),
    )
    if done.returncode != 0:
        home.need_room(cluster.directory.parent)
        said = (done.stderr.strip() or done.stdout.strip() or "it said nothing").splitlines()[-1]
        raise Unavailable(f"{name} could not make the database in {cluster.directory}: {said}")


def _check_version(cluster: Postgres) -> None:
    """Refuse a cluster that another major version made, which the server would refuse at every start."""
    made_by = (cluster.directory / "PG_VERSION").read_text().strip()
    found = binaries.version_of(cluster.programs / "postgres") or "PostgreSQL that does not run"
    if f" {made_by}." not in found and not found.endswith(f" {made_by}"):
        raise Unprocessable(
            f"the cluster in {cluster.directory} is of PostgreSQL {made_by}, the program found is {found} "
            f"({cluster.programs}): set EGG_POSTGRES_BIN to version {made_by}, or EGG_HOME to another place"
        )


def _runnable(programs: Path, account: Account | None, directory: Path) -> Path:
    """Return *programs*, or a copy in the stack's home where *account* may not read them (below /root)."""
    if account is None or _runs(programs, account):
        return programs
    package = programs.parents[1]
    target = home.programs(directory) / package.name
    copied = target / programs.relative_to(package)
    if not _runs(copied, account):
        with home.translated(directory):
            _copy(programs.parent, copied.parent)
            libraries = package.with_name(package.name + ".libs")
            if libraries.is_dir():
                shutil.copytree(libraries, target.with_name(libraries.name), dirs_exist_ok=True)
    if not _runs(copied, account):
        raise Unavailable(
            f"PostgreSQL in {programs} cannot be run by others than root, nor can a copy of it: "
            "set EGG_POSTGRES_BIN to an installation that others may read"
        )
    return copied


def _copy(source: Path, target: Path) -> None:
    """Copy what two of an installation's programs need, leaving what only developers do."""
    shutil.rmtree(target, ignore_errors=True)
    (target / "bin").mkdir(parents=True)
    for directory in (target, *target.parents[:2]):
        directory.chmod(0o755)
    for name in COPIED:
        shutil.copy2(source / "bin" / name, target / "bin" / name)
    for part in ("lib", "share"):
        ignored = shutil.ignore_patterns("*.a", "pgxs", "doc", "man")
        shutil.copytree(source / part, target / part, ignore=ignored, symlinks=True)


def _runs(programs: Path, account: Account) -> bool:
    """Whether *account* can run the server program."""
    with suppress(OSError, subprocess.SubprocessError):
        command = [str(programs / "postgres"), "--version"]
        subprocess.run(
            command,
            env=ENVIRONMENT,
            cwd="/",
            capture_output=True,
            check=True,
            timeout=10,
            **identity(account),
        )
        return os.access(programs / "initdb", os.X_OK)
    return False


def is_of(home: Path, url: str) -> bool:
    """Whether a URL leads to the server of the stack in *home*, and to no other."""
    parts = urlsplit(url)
    hosts = [*parse_qs(parts.query).get("host", []), *filter(None, [unquote(parts.hostname or "")])]
    # One of several hosts may be another server's; and where none is said it is the system's own.
    is_one = len(hosts) == 1 and hosts[0].startswith("/")
    return is_one and Path(hosts[0]).resolve() == (home / "sockets").resolve()
