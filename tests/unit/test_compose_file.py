"""Who has what in an installation by compose, as its file says."""

from pathlib import Path
from typing import Any

import pytest
import yaml

FILE = Path(__file__).parents[2] / "docker/compose.yaml"
HOME, SECRETS = "${EGG_HOME:-/var/lib/egg}", "${EGG_SECRETS_DIR:-/var/lib/egg-secrets}"
OURS = {"migrate", "api", "gateway", "worker-control", "worker-agents", "reconciler", "flower"}


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    found = yaml.safe_load(FILE.read_text())["services"]
    assert isinstance(found, dict)
    return found


def having(services: dict[str, Any], place: str) -> set[str]:
    """Those of ours that have a directory of the machine."""
    return {name for name in OURS for each in services[name]["volumes"] if each.startswith(f"{place}:")}


def test_who_needs_nothing_of_the_home_has_nothing_of_it(services: dict[str, Any]) -> None:
    assert having(services, HOME) == OURS - {"migrate", "flower"}
    assert services["migrate"]["volumes"] == services["flower"]["volumes"] == []


def test_who_gives_agents_their_secrets_alone_can_read_them_and_nobody_writes_them(
    services: dict[str, Any],
) -> None:
    holders = {"gateway", "worker-agents"}

    assert having(services, SECRETS) == holders
    assert all(f"{SECRETS}:{SECRETS}:ro" in services[name]["volumes"] for name in holders)
    told = {name for name in OURS if services[name]["environment"].get("EGG_SECRETS_DIR") == SECRETS}
    assert told == holders


def test_every_service_refuses_what_has_no_container_of_its_own(services: dict[str, Any]) -> None:
    assert {services[name]["environment"]["EGG_ISOLATION"] for name in OURS} == {"docker"}
