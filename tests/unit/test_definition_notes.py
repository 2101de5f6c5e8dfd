"""Notes on a sound definition: what its agents will not find, and never a false alarm."""

import json
import os
from pathlib import Path

import pytest

from cli.definition_file import check
from tests.unit.test_definition_file import git


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a program and a script in it."""
    monkeypatch.setenv("HOME", str(tmp_path))
    path = tmp_path / "shop"
    (path / "tools").mkdir(parents=True)
    git(path, "init", "-q", "-b", "main")
    for name, mode in {"lint.sh": 0o755, "tools/test.py": 0o644}.items():
        (path / name).write_text("#!/bin/sh\n")
        (path / name).chmod(mode)
    git(path, "add", "-A")
    git(path, "commit", "-q", "-m", "one")
    return path


def notes(
    shop: Path, *command: str, run: str | None = None, base: str | None = None, **more: object
) -> list[str]:
    definition: dict[str, object] = (
        {
            "version": 1,
            "repo": str(shop),
            "prompt": "Work.",
            "agents": {"coder": {"backend": "command", "command": command or ["true"]}},
            "phases": [
                {"name": "build", "roles": [{"role": "coder"}], **({"check": {"run": run}} if run else {})}
            ],
        }
        | ({"base": base} if base else {})
        | more
    )
    path = shop.with_name("work.json")
    path.write_text(json.dumps(definition))
    return list(check(path).notes)


@pytest.mark.parametrize(
    "command",
    [
        ["./lint.sh"], ["nowhere.sh"], ["bash", "lint.sh"], ["bash", "-eu", "./lint.sh"], ["/bin/sh", "x"],
        ["python3", "tools/test.py"], ["python3", "-u", "tools/test.py"], ["python3", "-m", "pytest"],
        ["sh", "-c", "./nowhere.sh"], ["bash", "-lc", "x y"], ["bash", "-o", "pipefail", "x"],
        ["make", "x/y"], ["python3"], ["node", "server"], ["ruby", "-Ilib", "x"], ["sh", "git"],
        ["env", "A=1", "./x"],
        ["~/bin/agent"], ["../outside.sh"], ["bash", "$HOME/x.sh"], ["python3", "-"],
        ["bash", "/etc/profile"],
    ],
)  # fmt: skip
def test_what_is_there_or_cannot_be_known_makes_no_note(shop: Path, command: list[str]) -> None:
    assert notes(shop, *command) == []


@pytest.mark.parametrize(
    "run",
    ["./lint.sh && make", "make test", "cd tools; ./x", "A=b/c ./x", "bash lint.sh",
     "for x in ./a; do :; done", "$HOME/x", "python3 -m unittest", 'sh -c "./x', "(./x)", "true\n./x"],
)  # fmt: skip
def test_a_check_that_is_there_or_cannot_be_known_makes_no_note(shop: Path, run: str) -> None:
    assert notes(shop, run=run) == []


@pytest.mark.parametrize(
    ("command", "path"),
    [
        (["./none.sh"], "none.sh"),
        (["bash", "none.sh"], "none.sh"),
        (["python3", "tools/none.py"], "tools/none.py"),
        (["bash", "it's none.sh"], "it's none.sh"),
        (["./none.sh --all"], "none.sh --all"),
    ],
)
def test_a_file_that_is_not_there_is_named(shop: Path, command: list[str], path: str) -> None:
    (note,) = notes(shop, *command)

    assert note.startswith(f"agents.coder.command: {path} is not in ")


def test_a_mere_name_of_a_file_is_told_from_a_program(shop: Path) -> None:
    (note,) = notes(shop, "lint.sh")

    assert note == "agents.coder.command: lint.sh is looked for on the PATH alone: write ./lint.sh"


def test_a_check_that_is_not_there_is_named(shop: Path) -> None:
    (note,) = notes(shop, run="./none.sh --all | tee log")

    assert note.startswith("phases[0].check.run: none.sh is not in ")


def test_what_a_set_up_keeps_in_a_cache_is_made_by_it(shop: Path) -> None:
    made = {"setup": "make", "cache": {"paths": [".venv"]}}

    assert notes(shop, "true", run=".venv/bin/pytest", workspace=made) == []
    assert notes(shop, "true", run=".venv/bin/pytest") != []


def test_a_file_that_is_not_committed_is_named_and_counted(shop: Path) -> None:
    (shop / "agent.sh").write_text("true\n")
    (shop / "lint.sh").write_text("changed\n")

    at = head(shop)[:10]
    lost = "is not committed, so agents will not find it: `git add agent.sh`, then commit"
    changed = f"has uncommitted changes, and agents get it as it is in {at}: commit them"
    assert notes(shop, "bash", "agent.sh", run="./lint.sh") == [
        f"agents.coder.command: agent.sh {lost}",
        f"phases[0].check.run: lint.sh {changed}",
        f"2 uncommitted files in {shop} will not be seen by agents: commit what they need",
    ]


def test_the_way_out_can_be_typed_whatever_the_name(shop: Path) -> None:
    (shop / "it's new.sh").write_text("true\n")

    assert "`git add 'it'\"'\"'s new.sh'`" in notes(shop, "bash", "it's new.sh")[0]


def test_a_file_that_is_ignored_is_named_with_the_way_out(shop: Path) -> None:
    (shop / ".git/info/exclude").write_text("agent.sh\n")
    (shop / "agent.sh").write_text("true\n")

    (note,) = notes(shop, "bash", "agent.sh")

    assert "`git add -f` if ignored" in note


def test_a_program_that_may_not_be_run_is_named(shop: Path) -> None:
    (note,) = notes(shop, "tools/test.py")

    assert "tools/test.py is not executable in" in note
    assert "`git update-index --chmod=+x tools/test.py`" in note


def test_a_file_is_looked_for_where_the_agents_start(shop: Path) -> None:
    git(shop, "branch", "before")
    (shop / "agent.sh").write_text("true\n")
    git(shop, "add", "-A")
    git(shop, "commit", "-q", "-m", "two")

    assert notes(shop, "bash", "agent.sh") == []
    assert len(notes(shop, "bash", "agent.sh", base="before")) == 1


def test_what_lies_behind_a_link_or_in_a_submodule_is_not_guessed(shop: Path) -> None:
    (shop / "linked").symlink_to("tools")
    git(shop, "add", "-A")
    git(shop, "update-index", "--add", "--cacheinfo", f"160000,{head(shop)},module")
    git(shop, "commit", "-q", "-m", "two")
    (shop / "module").mkdir()

    assert notes(shop, "linked/x.sh", run="module/x.sh") == []


def test_one_uncommitted_file_is_one(shop: Path) -> None:
    (shop / "new file").write_text("x")

    (note,) = notes(shop)

    assert note.startswith("1 uncommitted file in ")


def test_a_bare_repository_has_nothing_uncommitted(shop: Path) -> None:
    git(shop.parent, "clone", "-q", "--bare", str(shop), "bare.git")

    assert notes(shop.with_name("bare.git"), "./lint.sh") == []


def test_looking_writes_nothing_and_runs_no_monitor(shop: Path, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    trap.chmod(0o755)
    git(shop, "config", "core.fsmonitor", str(trap))
    os.utime(shop / "lint.sh")
    before = (shop / ".git/index").read_bytes()

    assert notes(shop) == []
    assert (shop / ".git/index").read_bytes() == before
    assert not (tmp_path / "ran").exists()


def head(shop: Path) -> str:
    return (shop / ".git/refs/heads/main").read_text().strip()


def with_library(shop: Path, url: str) -> None:
    """Add a library as a submodule that is not checked out, as in a fresh clone."""
    library = shop.with_name("library")
    library.mkdir()
    git(library, "init", "-q")
    git(library, "commit", "-q", "--allow-empty", "-m", "one")
    (shop / ".gitmodules").write_text(f'[submodule "lib"]\n\tpath = lib\n\turl = {url}\n')
    git(shop, "add", ".gitmodules")
    git(shop, "update-index", "--add", "--cacheinfo", f"160000,{40 * '1'},lib")
    (shop / "lib").mkdir()
    git(shop, "commit", "-q", "-m", "library")


def test_a_submodule_that_cannot_be_fetched_is_named(shop: Path) -> None:
    with_library(shop, "../nowhere")

    (note,) = notes(shop)

    assert note.startswith(f"the submodule lib cannot be fetched ('{shop.parent}/nowhere' does not appear")
    assert note.endswith("agents and checks find its folder empty")


def test_a_submodule_that_can_be_fetched_makes_no_note(shop: Path) -> None:
    with_library(shop, "../library")

    assert notes(shop) == []


@pytest.mark.parametrize(
    ("isolation", "providers", "is_told"),
    [
        ("docker", ["ant"], True),
        ({"kind": "docker", "network": {"mode": "deny"}}, ["ant"], True),
        ({"kind": "docker", "network": {"mode": "observe"}}, ["ant"], True),
        ({"kind": "docker", "network": {"mode": "open"}}, ["ant"], False),
        ("docker", [], False),
        ("process", ["ant"], False),
    ],
)
def test_whose_network_does_not_hold_what_a_provider_sends_for_it_is_told(
    shop: Path, isolation: object, providers: list[str], is_told: bool
) -> None:
    agent = {"backend": "command", "command": ["true"], "providers": providers}

    found = notes(shop, agents={"coder": agent}, isolation=isolation)

    sentence = "agents.coder.providers: `network` does not hold ant: "
    assert any(each.startswith(sentence) for each in found) is is_told
