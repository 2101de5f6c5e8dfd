"""stack.json: what a stack keeps of itself, so that it is found, and found again at the same door."""

import json
import os
import secrets
import sys
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, get_origin, get_type_hints

from egg_tasks import version
from egg_tasks.settings_table import DATABASE_URL, REDIS_URL, number
from egg_tasks.stack import tcp_ports
from egg_tasks.stack.home import translated
from egg_tasks.stack.servers import Urls
from models.errors import Unavailable
from models.masking import masked

NAME = "stack.json"
API_PORT = 8700
FLOWER_PORT = 5555
GATEWAY_PORT = 8780


@dataclass(frozen=True)
class Manifest:
    """Where a stack answers and how one proves to be its operator."""

    api_url: str
    api_port: int
    flower_url: str
    flower_port: int
    flower_login: str = field(repr=False)
    operator_token: str = field(repr=False)
    database_url: str = field(repr=False)
    redis_url: str = field(repr=False)
    supervisor_pid: int
    frozen: dict[str, str] = field(default_factory=dict)
    """What it took from the shell it was started in; nothing is known of an older stack's."""
    version: str = ""
    """The egg that started it; releases up to 0.1.0 did not write theirs."""
    program: str = ""
    """The interpreter its processes are started with, as far as it is known."""
    home: str = ""
    """Where it was when this was written; nothing is known of an older stack's."""
    gateway_port: int = 0
    """Where its gateway answers processes, also those that outlive a stack; an older stack's has none."""


def read(home: Path) -> Manifest | None:
    """Return what the stack in *home* last wrote of itself; None if it never did, or not this way."""
    try:
        found: object = json.loads((home / NAME).read_text())
    except (OSError, ValueError):
        return None
    kinds = {name: get_origin(kind) or kind for name, kind in get_type_hints(Manifest).items()}
    if not isinstance(found, dict):
        return None
    # What an earlier release did not write has its default.
    known: dict[str, Any] = {"frozen": {}, "version": "", "program": "", "home": "", "gateway_port": 0}
    known |= {name: found[name] for name in kinds if name in found}
    if not all(isinstance(known.get(name), kinds[name]) for name in kinds):
        return None
    return Manifest(**known)


def write(home: Path, manifest: Manifest) -> None:
    """Replace stack.json by *manifest*, whole, readable by its owner alone."""
    new = home / f"{NAME}.new"
    with translated(home):
        new.unlink(missing_ok=True)
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w") as file:  # noqa: PTH123  made 0600 from the start
            # Of what was given, the password is the environment's to keep.
            found = asdict(manifest)
            found |= {name: masked(found[name]) for name in ("database_url", "redis_url")}
            json.dump(found, file, indent=2)
            file.flush()
            os.fsync(descriptor)
        new.replace(home / NAME)


def original(home: Path) -> Path | None:
    """Return the home that *home* is a copy of, as long as that is where it was; a moved one is none."""
    kept = read(home)
    if kept is None or not kept.home:
        return None
    other = Path(kept.home)
    theirs = read(other)
    is_there = theirs is not None and (theirs.home, theirs.operator_token) == (kept.home, kept.operator_token)
    return other if is_there and not other.samefile(home) else None


def without_own(home: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """*environ* without what `egg env` says of the stack of *home* itself: that is nobody else's server."""
    kept = read(home)
    if kept is None or not kept.frozen:
        return dict(environ)
    own = {
        DATABASE_URL: kept.database_url,
        REDIS_URL: kept.redis_url,
        "EGG_ORCHESTRATOR_URL": kept.api_url,
        "EGG_OPERATOR_TOKEN": kept.operator_token,
    }
    is_own = {name for name in own if name not in kept.frozen and environ.get(name) == own[name]}
    return {name: value for name, value in environ.items() if name not in is_own}


def settle(
    home: Path, environ: Mapping[str, str], urls: Urls, frozen: Mapping[str, str] | None = None
) -> Manifest:
    """Decide ports, token and login: what the environment says, else what was kept, else new.

    A copy of a home that is still there keeps nothing of it: agents and people would take one for the other.
    `Unavailable`, naming the holder, when the port of the API is somebody else's; Flower just moves.
    """
    kept, others = read(home), set[int]()
    if kept and original(home):
        others, kept = {kept.api_port, kept.flower_port, kept.gateway_port}, None
    api_port = _port(home, environ, API, kept.api_port if kept else 0, others)
    others.add(api_port)
    gateway_port = _port(home, environ, GATEWAY, kept.gateway_port if kept else 0, others)
    others.add(gateway_port)
    flower_port = tcp_ports.choose(kept.flower_port if kept else FLOWER_PORT, other_than=others)
    return Manifest(
        api_url=f"http://{tcp_ports.LOOPBACK}:{api_port}",
        api_port=api_port,
        flower_url=f"http://{tcp_ports.LOOPBACK}:{flower_port}",
        flower_port=flower_port,
        flower_login=kept.flower_login if kept else f"egg:{secrets.token_urlsafe(12)}",
        operator_token=environ.get("EGG_OPERATOR_TOKEN")
        or (kept.operator_token if kept else secrets.token_urlsafe(32)),
        database_url=urls.database_url,
        redis_url=urls.redis_url,
        supervisor_pid=os.getpid(),
        frozen=dict(frozen or {}),
        version=version.ours(),
        program=sys.executable,
        home=str(home),
        gateway_port=gateway_port,
    )


@dataclass(frozen=True)
class Door:
    """A port that those who know it go on knowing."""

    name: str
    variable: str
    preferred: int


API = Door("API", "EGG_API_PORT", API_PORT)
GATEWAY = Door("gateway", "EGG_GATEWAY_PORT", GATEWAY_PORT)


def _port(home: Path, environ: Mapping[str, str], door: Door, kept: int, others: Collection[int]) -> int:
    """The port that is given or was kept, which must be free; else a new one, but not one of *others*."""
    if environ.get(door.variable):
        port, way_out = number(environ, door.variable), f"set {door.variable} to another port"
    elif kept:
        port = kept
        way_out = f"set {door.variable} to another port, or remove {home / NAME} to have a new one chosen"
    else:
        return tcp_ports.choose(door.preferred, other_than=others)
    if not tcp_ports.becomes_free(port):
        raise Unavailable(
            f"port {port}, where this stack's {door.name} listens, is taken by {tcp_ports.holder(port)}: "
            f"stop that, {way_out}"
        )
    tcp_ports.take(port)
    return port
