"""What is said of the container engine to people: by doctor, and to whoever wants containers."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from uuid import uuid4

import pytest

from egg_tasks import image_trial, local_engine
from egg_tasks.runners.docker import AGENT_UID
from egg_tasks.stack import lock
from egg_tasks.stack.finding import Finding
from models.errors import EngineAway, Unprocessable
from tests.engine import IMAGE, OwnEngine
from tests.integration.runner_scene import until

NOWHERE = "unix:///no/such/docker.sock"
WANTED = {"egg-base": ("coder", "tester")}


def said(environ: Mapping[str, str]) -> dict[str, Finding]:
    """What the doctor says in a shell."""
    return {each.name: each for each in local_engine.examine(environ)}


def tried(own: OwnEngine, image: str, home: Path) -> dict[str, Finding]:
    """What is said of an image."""
    found = image_trial.examine(image, url=own.url, agent_uid=AGENT_UID, home=home)
    return {each.name: each for each in found}


def test_without_an_engine_the_doctor_says_in_one_line_who_needs_one() -> None:
    (found,) = said({"EGG_DOCKER_HOST": NOWHERE}).values()

    assert found == Finding(
        "docker",
        ok=None,
        text=f"no engine answers at {NOWHERE}; only agents with `isolation: docker` need one",
    )


def test_an_engine_of_other_programs_is_named_and_not_used(container_engine: OwnEngine) -> None:
    (found,) = said({"EGG_DOCKER_HOST": NOWHERE, "DOCKER_HOST": container_engine.url}).values()

    assert found.ok is None
    assert "EGG_DOCKER_HOST of the same" in found.mend


def test_without_an_engine_a_definition_is_refused_with_two_ways_out() -> None:
    with pytest.raises(Unprocessable) as refused:
        local_engine.refuse(WANTED, url=NOWHERE)

    assert str(refused.value) == (
        f"coder, tester: no container engine answers at {NOWHERE}: start one (or say where it is with "
        "EGG_DOCKER_HOST), or let them be processes of your user, if you trust them: `isolation: process`"
    )
    local_engine.refuse({}, url=NOWHERE)


def test_an_engine_that_is_closed_to_the_user_is_told_from_none() -> None:
    error = EngineAway("")
    error.__cause__ = PermissionError()

    assert "closed to this user" in local_engine.why_away(error, NOWHERE)


def test_the_doctor_says_what_the_engine_is_and_that_the_usual_image_is_not_there(
    container_engine: OwnEngine,
) -> None:
    found = said({"EGG_DOCKER_HOST": container_engine.url})

    assert found["docker"].ok
    assert container_engine.url in found["docker"].text
    assert found["containers"].text.startswith("memory, ")
    assert (found["image"].ok, "make image" in found["image"].mend) == (None, True)


@pytest.mark.parametrize(
    ("info", "name", "ok", "text", "mend"),
    [
        ({"SecurityOptions": ["name=userns"]}, "docker", None, "of no use to agents", "userns-remap"),
        ({"SecurityOptions": ["name=rootless"]}, "docker", True, ", rootless", ""),
        ({"SecurityOptions": ["name=selinux"]}, "docker", True, "SELinux is off in", ""),
        ({"CgroupVersion": "2"}, "containers", None, "memory, swap, processors and processes of", "kernel"),
        (
            {"SecurityOptions": ["name=rootless"], "PidsLimit": True, "CpuCfsQuota": True},
            "containers",
            None,
            "memory and swap of agents in containers are not bounded",
            "systemd",
        ),
    ],
)
def test_what_an_engine_lacks_is_said_with_the_way_out(
    info: dict[str, object], name: str, ok: bool | None, text: str, mend: str
) -> None:
    found = {each.name: each for each in local_engine.of_info({"ServerVersion": "27", **info}, NOWHERE)}

    assert found[name].ok is ok
    assert text in found[name].text
    assert mend in found[name].mend


def test_an_image_that_is_not_there_is_refused_with_how_to_make_it_and_one_that_is(
    container_engine: OwnEngine,
) -> None:
    local_engine.refuse(WANTED, url=container_engine.url)
    refusals = []
    for image in ("nope:1", local_engine.DEFAULT_IMAGE):
        with pytest.raises(Unprocessable) as refused:
            local_engine.refuse({image: ("coder",)}, url=container_engine.url)
        refusals.append(str(refused.value))

    assert refusals == [
        (
            "coder: the container engine has no image nope:1: `docker pull nope:1`, or build it, or name one "
            "that it has: `isolation: {kind: docker, image: NAME}`"
        ),
        (
            "coder: the container engine has no image egg-agent:latest: `make image` in a clone of egg makes "
            "it, or take egg-base, which it has: `isolation: {kind: docker, image: egg-base}`"
        ),
    ]


def test_a_good_image_is_tried_and_nothing_is_left_of_that(
    container_engine: OwnEngine, tmp_path: Path
) -> None:
    found = tried(container_engine, IMAGE, tmp_path)

    assert list(found) == ["python3", "sh", "git", "egg", "files"]
    assert all(each.ok for each in found.values()), found
    assert found["files"].text == f"what it writes belongs to user {AGENT_UID}"
    assert list(tmp_path.iterdir()) == []
    assert trials(container_engine, tmp_path) == ""


def trials(own: OwnEngine, home: Path) -> str:
    """The containers of trials that were made with a home."""
    return own.docker("ps", "-a", "-q", "--filter", f"label=egg.trial={home}")


def test_what_a_trial_has_left_that_was_killed_goes_with_the_next(
    container_engine: OwnEngine, tmp_path: Path
) -> None:
    labels = ["--label", f"egg.trial={tmp_path}", "--label", f"egg.agent.run={(run := uuid4())}"]
    container_engine.docker("run", "-d", "--name", f"egg-{run}", "--network", "none", *labels, IMAGE, "true")
    old, young = tmp_path / ".egg-trial-old", tmp_path / ".egg-trial-young"
    for left in (old, young):
        left.mkdir()
    os.utime(old, (0, 0))
    until(lambda: not container_engine.docker("ps", "-q", "--filter", f"name={run}"))

    tried(container_engine, IMAGE, tmp_path)

    assert trials(container_engine, tmp_path) == ""
    assert list(tmp_path.iterdir()) == [young]


@pytest.mark.parametrize(
    ("programs", "lacks"),
    [
        (["python3", "python3.11"], {"image": "python3"}),
        (["git", "sh", "dash"], dict.fromkeys(("sh", "git", "egg"), "Permission denied")),
    ],
)
def test_what_an_image_lacks_is_named(
    container_engine: OwnEngine, tmp_path: Path, programs: list[str], lacks: dict[str, str]
) -> None:
    name = f"trial-without-{programs[0]}"
    container = container_engine.docker("create", "--network", "none", IMAGE, "true").strip()
    try:
        for program in programs:
            (tmp_path / program).touch(mode=0o644)  # which nobody can start
            container_engine.docker("cp", str(tmp_path / program), f"{container}:/usr/bin/{program}")
        container_engine.docker("commit", container, name)
        found = tried(container_engine, name, tmp_path)
    finally:
        container_engine.docker("rm", "-f", container)

    assert {each.name for each in found.values() if not each.ok} == set(lacks)
    assert all(said in found[each].text for each, said in lacks.items())
    assert "docs/howto/containers.md" in found[min(lacks.keys() - {"egg"})].mend


def test_an_image_that_is_not_there_is_not_tried(container_engine: OwnEngine, tmp_path: Path) -> None:
    found = tried(container_engine, "nope", tmp_path)

    assert found["image"] == Finding(
        "image", ok=False, text="the engine has no nope", mend="`docker pull nope`, or build it"
    )


def test_only_a_process_of_a_local_stack_looks_for_the_engine_of_its_agents(tmp_path: Path) -> None:
    assert not local_engine.is_agents(tmp_path)
    with lock.locked(tmp_path):
        assert local_engine.is_agents(tmp_path)


def test_an_image_may_say_anything() -> None:
    hostile = json.dumps({"python": {}, "git": 7})

    assert image_trial.read(hostile) == {}
    assert image_trial.read("[" * 100_000) == {}
