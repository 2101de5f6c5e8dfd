"""`docker compose up` of the built images, used from the machine it is on."""

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from egg_tasks.demo.repository import make_repository
from tests.compose.conftest import Installation, until
from tests.engine import IMAGE

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(1200)]

UID = 65532
ONCE = {"home", "migrate"}
SERVERS = {"postgres", "valkey"}
OURS = {"api", "gateway", "worker-control", "worker-agents", "reconciler", "flower"}
ASK_FLOWER = """
import urllib.error, urllib.request
try:
    urllib.request.urlopen("http://127.0.0.1:5555/", timeout=10)
except urllib.error.HTTPError as error:
    print(error.code)
"""


def definition(installation: Installation, name: str, **of_all: object) -> Path:
    """The demo's, with what is said of all its agents; its repository lies where the workers find it."""
    sources = installation.home / "sources"
    sources.mkdir(exist_ok=True)
    repository = make_repository(sources / name)
    file = repository / "egg.yaml"
    document = yaml.safe_load(file.read_text())
    file.write_text(json.dumps(document | of_all))
    subprocess.run(["chown", "-R", f"{UID}:{UID}", sources], check=True)
    return file


def test_a_pipeline_comes_to_consensus_with_agents_in_containers_beside_the_workers(
    installation: Installation,
) -> None:
    file = definition(installation, "shop", isolation={"kind": "docker", "image": IMAGE})
    installation.egg("run", str(file), "--detach", "--name", "shop")
    agent = until(installation.agents, why="an agent's container")[0]
    # Agents are no children of who started them.
    installation.compose("restart", "--timeout", "20", "worker-agents")

    installation.egg("watch", "shop")

    assert agent["HostConfig"]["NetworkMode"] == "none"
    assert agent["Config"]["User"] == f"{UID}:{UID}"
    assert json.loads(installation.egg("pipeline", "get", "shop", "--json").stdout)["status"] == "complete"
    events = map(json.loads, installation.egg("events", "shop", "--jsonl").stdout.splitlines())
    kinds = [event["type"] for event in events]
    assert kinds.count("phase.completed") == 2
    assert "agent.failed" not in kinds
    repository = str(installation.home / "repos/shop.git")
    git = ["git", "-c", "safe.directory=*", "-C", repository, "grep", "-h", "def ", "egg/shop/work"]
    shop = subprocess.run(git, capture_output=True, text=True, check=False)
    assert "def shipping_cost" in shop.stdout, shop.stderr
    assert until(lambda: not installation.agents(), why="the end of the last agent's container")


def test_an_agent_that_would_be_beside_the_engines_socket_is_refused(installation: Installation) -> None:
    file = definition(installation, "beside")

    refused = installation.egg("run", str(file), "--detach", "--name", "beside", check=False)

    assert refused.returncode != 0
    said = " ".join((refused.stdout + refused.stderr).split())
    assert "nothing is started here that has no container of its own" in said


def test_every_service_is_well(installation: Installation) -> None:
    def are_well() -> bool:
        states = {name: found["State"] for name, found in installation.services().items()}
        assert {name: states[name]["ExitCode"] for name in ONCE} == dict.fromkeys(ONCE, 0)
        assert all(states[name]["Running"] for name in OURS | SERVERS)
        watched = [state["Health"]["Status"] for state in states.values() if "Health" in state]
        return len(watched) >= 6 and set(watched) == {"healthy"}

    assert until(are_well, why="health")


def test_nothing_but_the_apis_port_is_published(installation: Installation) -> None:
    services = installation.services()

    bound = {name: found["HostConfig"]["PortBindings"] for name, found in services.items()}

    port = installation.environment["EGG_API_PORT"]
    assert {name: ports for name, ports in bound.items() if ports} == {
        "api": {"8700/tcp": [{"HostIp": "127.0.0.1", "HostPort": port}]}
    }
    assert not any(found["HostConfig"]["NetworkMode"] == "host" for found in services.values())
    inside = f"{installation.name}_inside"
    (network,) = json.loads(installation.engine.docker("network", "inspect", inside))
    assert network["Internal"] is True
    joined = {name: set(found["NetworkSettings"]["Networks"]) for name, found in services.items()}
    outside = {name for name, networks in joined.items() if networks - {inside, "none"}}
    assert outside == {"api", "gateway", "worker-control"}


def test_the_agents_worker_alone_has_the_engines_socket(installation: Installation) -> None:
    socket = installation.environment["DOCKER_SOCKET"]
    services = installation.services()

    mounted = {
        name
        for name, found in services.items()
        if any(socket in mount["Source"] or "docker" in mount["Destination"] for mount in found["Mounts"])
    }

    assert mounted == {"worker-agents"}
    assert {name for name, found in services.items() if found["HostConfig"]["GroupAdd"]} == mounted


def test_every_service_has_walls_and_limits(installation: Installation) -> None:
    services = installation.services()

    assert set(services) == ONCE | SERVERS | OURS
    for name, found in services.items():
        host = found["HostConfig"]
        assert host["CapDrop"] == ["ALL"], name
        assert host["ReadonlyRootfs"] is True, name
        if name != "home":
            assert host["CapAdd"] is None, name
            assert found["Config"]["User"].split(":")[0] not in {"", "0", "root"}, name
            assert host["SecurityOpt"] == ["no-new-privileges:true"], name
            assert host["Memory"] > 0, name
            assert host["PidsLimit"] > 0, name


def test_no_secret_is_in_what_the_engine_shows(installation: Installation) -> None:
    shown = json.dumps(list(installation.services().values()))

    found = {name for name, value in installation.secrets.items() if value in shown}

    assert len(installation.secrets) == 5
    assert found == set()


def test_flower_asks_for_its_login(installation: Installation) -> None:
    assert installation.compose("exec", "-T", "flower", "python", "-c", ASK_FLOWER).strip() == "401"
