"""The whole: a pipeline with its API and gateway, baits, a neighbour, and each attempt made everywhere."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest

from egg_tasks import agent_tools, run_places
from egg_tasks.adapters import workspace
from egg_tasks.attending.launching import READABLE
from egg_tasks.gateway import addresses
from egg_tasks.run_places import GATEWAY_SOCKET, gateway_of
from egg_tasks.runners.docker import AGENT_UID
from egg_tasks.runners.process import ProcessRunner
from tests.engine import OwnEngine
from tests.hostile_container import inside, looks, stage
from tests.hostile_container.attempt import ATTEMPTS, MACHINES, Attempt
from tests.hostile_container.stage import Stage
from tests.hostile_container.walls import WALLS, Ground
from tests.integration.api_scene import NAME, OPERATOR, Scene
from tests.integration.gateway_scene import Way, gateway
from tests.integration.workspace_scene import commit, git

OTHER = "bazaar"
REBINDS = "rebinds.example"
ELSEWHERE = "192.0.2.7"
"""An address nobody has."""
AT_ONCE = 4


@dataclass
class Row:
    """What became of an attempt: behind the wall, without it, and of a process."""

    behind: str = ""
    control: str = ""
    process: str = ""


Table = Mapping[str, Row]
assert inside.LISTED, "which brings all of the list"


def program(*allow: str) -> dict[str, object]:
    """An agent that may reach this beside hosts of the internet."""
    network = {"mode": "observe", "allow": list(allow)}
    return {"backend": "command", "command": ["true"], "isolation": {"network": network}}


def rebinding(port: int) -> object:
    """How the name servers of a hostile owner answer: at every second look with this machine."""
    looks, real = [0], socket.getaddrinfo

    def found(name: object, *arguments: object, **more: object) -> object:
        if name != REBINDS:
            return real(name, *arguments, **more)  # type: ignore[arg-type]
        looks[0] += 1
        address = ELSEWHERE if looks[0] % 2 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    return found


def socket_of(url: str, name: str) -> str:
    """The path of a server's socket."""
    parts = urlsplit(url)
    host = parse_qs(parts.query).get("host", [""])[0]
    return f"{host}/{name}" if host else parts.path


@contextmanager
def set_up(
    scene: Scene, own: OwnEngine, urls: tuple[str, str], patch: pytest.MonkeyPatch
) -> Iterator[tuple[Stage, Stage]]:
    """A stage for containers, and one for processes of one user, with baits on both."""
    with ExitStack() as stack:
        key, memory = stack.enter_context(stage.shared_memory())
        abstract = f"egg-hostile-{os.getpid()}"
        server, listed = stack.enter_context(stage.servers(abstract))
        patch.setattr(socket, "getaddrinfo", rebinding(server))
        patch.setattr(addresses, "CONNECT_SECONDS", 0.5)
        way, tokens = peopled(scene, stack, server, listed)
        facts = {
            "pipeline": NAME, "other_pipeline": OTHER, "operator": OPERATOR, "operator_token": OPERATOR,
            "api_port": str(scene.port), "server_port": str(server), "listed_port": str(listed),
            "gateway_port": str(way.port), "abstract": abstract, "other_token": tokens["coder"],
            "testers_token": tokens["coder"], "tokens": f"- made-up {OPERATOR}",
            "engine_socket": own.url.removeprefix("unix://"),
            "database_socket": socket_of(urls[0], ".s.PGSQL.5432"), "broker_socket": socket_of(urls[1], ""),
            "memory_key": str(key), "memory_name": memory,
            "neighbour": str(stack.enter_context(stage.neighbours_program())),
        }  # fmt: skip
        users = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="egg-hostile-", dir="/tmp")))
        users.chmod(0o711)
        yield (
            containers(scene, own, facts, tokens, stack),
            processes(scene, own, users, facts | {"door": str(way.port)}, tokens, stack=stack),
        )


def peopled(scene: Scene, stack: ExitStack, server: int, listed: int) -> tuple[Way, Mapping[str, str]]:
    """Two pipelines, of which one has a coder behind all walls and a tester with one of them taken away."""
    port = stage.free_port()
    mine = (f"127.0.0.1:{listed}", f"{ELSEWHERE}:{server}")
    more = [f"127.0.0.1:{each}" for each in (server, scene.port, port)]
    scene.start(agents={"coder": program(*mine), "tester": program(*mine, *more)})
    phases = [{"name": "implement", "roles": [{"role": "guard"}]}]
    scene.start(name=OTHER, agents={"guard": program()}, phases=phases)
    return stack.enter_context(gateway(scene.home, api_port=scene.port, port=port)), dict(scene.tokens)


def baits(home: Path, bare: Path) -> dict[str, str]:
    """What is others', each with something in it."""
    texts = {
        "stack.json": f'{{"operator_token": "{OPERATOR}"}}', "secrets/NPM_TOKEN": "another-agents-key",
        "of-the-person": "notes of the person", "others/home/.netrc": "machine example password others",
        "others/prompt.md": "what another agent is told",
    }  # fmt: skip
    for name, text in texts.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        (home / name).write_text(text)
        (home / name).chmod(0o600)
    clone = home / "others/clone"
    git(home, "clone", "-q", "--no-local", str(bare), str(clone))
    at = commit(clone, {"work.txt": "another agent's work, in the making"})
    return {
        "others_clone": str(clone), "others_commit": at, "others_home": str(home / "others/home"),
        "others_prompt": str(home / "others/prompt.md"), "others_socket": str(home / "others/socket"),
        "stack": str(home / "stack.json"), "secret": str(home / "secrets/NPM_TOKEN"), "repository": str(bare),
        "persons_file": str(home / "of-the-person"),
        "handle": stage.handle_of(home / "of-the-person"),
    }  # fmt: skip


def owned(place: Path) -> None:
    """Make all of it the agents' own user's."""
    subprocess.run(["chown", "-R", f"{AGENT_UID}:{AGENT_UID}", place], check=True)


def containers(
    scene: Scene, own: OwnEngine, facts: dict[str, str], tokens: Mapping[str, str], stack: ExitStack
) -> Stage:
    """The stage of containers."""
    bare = workspace().repository(NAME)
    found = facts | baits(scene.home, bare)
    owned(scene.home / "others")
    stack.enter_context(stage.listening(Path(found["others_socket"])))
    sockets = [Path(facts[name]) for name in ("engine_socket", "database_socket", "broker_socket")]
    machine = [Path(found[name]) for name in ("stack", "persons_file", "repository")]
    ground = Ground(
        town=stack.enter_context(stage.neighbour(own)),
        others=(scene.home / "others",),
        machine=(*machine, *sockets, scene.home / "secrets", scene.home / run_places.SHIMS),
        word=OPERATOR,
    )
    base = git(scene.home / "source", "rev-parse", "HEAD")

    def clone(run_id: UUID) -> None:
        workspace().open_clone(NAME, role=stage.role_of(run_id), run_id=run_id, work_commit=base)

    found["shims_directory"] = str(scene.home / run_places.SHIMS)
    reads = tuple(bare / name for name in READABLE)
    return Stage(scene.home, own, ground, found, tokens, reads, clone)


def processes(
    scene: Scene,
    own: OwnEngine,
    home: Path,
    facts: dict[str, str],
    tokens: Mapping[str, str],
    *,
    stack: ExitStack,
) -> Stage:
    """The stage of processes, where all is one user's."""
    bare = home / "repository.git"
    shutil.copytree(workspace().repository(NAME), bare)
    tools = agent_tools.install(home).parent
    shutil.copytree(gateway_of(scene.home), home / "gateway", ignore=shutil.ignore_patterns("*"))
    (home / "gateway" / GATEWAY_SOCKET).touch()
    found = facts | baits(home, bare)
    more = {
        "isolation": "process", "tools": str(tools / agent_tools.IN_CONTAINERS),
        "library": str(tools / agent_tools.LIBRARY), "gateway": str(home / "gateway"),
        "shims_directory": str(home / run_places.SHIMS), "box": str(home / run_places.SHIMS), "given": "..",
    }  # fmt: skip
    stack.enter_context(stage.listening(Path(found["others_socket"])))
    owned(home)
    return Stage(home, own, Ground("", (), (), OPERATOR), found | more, tokens)


def tried_everywhere(found: tuple[Stage, Stage]) -> Table:
    """Make every attempt of the list behind the walls, in the control of its wall, and as a process."""
    boxes, users = found
    rows = {name: Row() for name in ATTEMPTS}
    programs = [each for each in ATTEMPTS.values() if each.program is not None]
    for name, said in boxes.tried(boxes.behind(), programs).items():
        rows[name].behind = said
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for group in pool.map(lambda wall: without(boxes, wall, programs), WALLS):
            for name, said in group.items():
                rows[name].control = said
    meant = [each for each in programs if each.process != MACHINES]
    for name, said in as_processes(users, meant).items():
        rows[name].process = said
    looks.at_all(boxes, rows)
    return rows


def without(boxes: Stage, wall: str, programs: Sequence[Attempt]) -> Mapping[str, str]:
    """What becomes of the attempts that one wall holds where that is taken away."""
    mine = [each for each in programs if each.wall == wall]
    if not mine:
        return {}
    try:
        return _without(boxes, wall, mine)
    except Exception as error:  # noqa: BLE001  of one control alone
        return {each.name: f"failed: {error!r}" for each in mine}


def _without(boxes: Stage, wall: str, mine: Sequence[Attempt]) -> Mapping[str, str]:
    runner = boxes.beyond(wall)
    tokens = boxes.tokens
    match wall:
        case "addresses":
            return boxes.tried(runner, mine, token="tester")
        case "tokens":
            told = {
                "other_token": tokens["guard"],
                "testers_token": tokens["tester"],
                "tokens": tokens["coder"],
            }
            return boxes.tried(runner, mine, facts=told)
        case "operator":
            return boxes.tried(runner, mine, facts={"door": boxes.facts["api_port"]})
        case "clone":
            return boxes.tried(runner, mine, prepare=share)
        case "first process":
            # Each ends with the shim, as it is meant to.
            return {each.name: boxes.tried(runner, [each], is_fatal=True)[each.name] for each in mine}
        case _:
            return boxes.tried(runner, mine)


def share(clone: Path) -> None:
    """Have a clone share a file with the repository it is of, as `git clone --local` makes them."""
    bare = workspace().repository(NAME)
    found = next(path for path in bare.glob("objects/??/*") if path.is_file())
    place = clone / ".git/objects" / found.parent.name
    place.mkdir(exist_ok=True)
    os.link(found, place / found.name)


def as_processes(users: Stage, attempts: Sequence[Attempt]) -> Mapping[str, str]:
    """What becomes of attempts in `process` isolation."""
    runner = ProcessRunner(users.home / run_places.RUNS)
    fatal = [each for each in attempts if each.wall == "first process"]
    found = dict(
        users.tried(runner, [each for each in attempts if each not in fatal], start=stage.as_one_user)
    )
    for each in fatal:
        found |= users.tried(runner, [each], start=stage.as_one_user, is_fatal=True)
    return found
