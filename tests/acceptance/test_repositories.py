"""A person's repository through the front door: private ones, refused ones, and names that are taken."""

import json
import os
import pty
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import private_server
from tests.acceptance.conftest import EGG, Egg
from tests.integration.workspace_scene import commit, git
from tests.private_server import ENCODED, PASSWORD, USER, WANTED, Site

pytestmark = pytest.mark.acceptance

AGENT = (
    "echo done >note && git add note && git commit -qm note && egg signal readiness --state READY --reason ok"
)
DEFINITION = {
    "version": 1,
    "repo": ".",
    "prompt": "Write a note.",
    "agents": {"coder": {"backend": "command", "command": ["sh", "-c", AGENT]}},
    "phases": [{"name": "build", "roles": [{"role": "coder"}]}],
}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A repository, and beside it the definition of a pipeline."""
    path = tmp_path / "shop"
    path.mkdir()
    git(path, "init", "-q", "-b", "main")
    commit(path, {"README": "shop\n"})
    (tmp_path / "work.json").write_text(json.dumps(DEFINITION | {"repo": "shop"}))
    return path


@pytest.fixture
def site(source: Path, tmp_path: Path) -> Iterator[Site]:
    """The same behind a password."""
    www = tmp_path / "www"
    git(tmp_path, "clone", "-q", "--bare", str(source), str(www / "shop.git"))
    with private_server.served(www) as site:
        yield site


def ours(egg: Egg, home: Path) -> Egg:
    """The same stack, as somebody with a HOME of their own types."""
    return Egg(egg.home, {"HOME": str(home)})


def test_a_private_repository_runs_and_its_password_is_nowhere(egg: Egg, site: Site, tmp_path: Path) -> None:
    url = site.url("shop.git", credential=f"{USER}:{ENCODED}")
    me = ours(egg, tmp_path)
    words = ("run", str(tmp_path / "work.json"), "--name", "private", "--repo", url, "--wait")

    assert me.run("validate", str(tmp_path / "work.json"), "--repo", url).returncode == 0
    done = me.run(*words)

    shown = [done.stdout, done.stderr, json.dumps(egg.json("pipeline", "get", "private"))]
    spellings = [PASSWORD, ENCODED, WANTED]
    assert [word for word in spellings if any(word in text for text in shown)] == []
    # The database and its log of changes are in there, too.
    found = subprocess.run(
        ["grep", "-rlF", *(part for word in spellings for part in ("-e", word)), str(egg.home)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert found.stdout == ""
    assert egg.json("pipeline", "get", "private")["repo"] == site.url("shop.git")


def test_without_the_password_nothing_is_stored(egg: Egg, site: Site, tmp_path: Path) -> None:
    me, path, url = ours(egg, tmp_path), str(tmp_path / "work.json"), site.url("shop.git")

    refused = [
        me.run("validate", path, "--repo", url, check=False),
        me.run("run", path, "--repo", url, "--name", "unknown", check=False),
        me.run("pipeline", "create", path, "--repo", url, "--name", "unknown", check=False),
    ]

    assert [done.returncode for done in refused] == [2, 2, 2]
    assert all("give egg the credential" in done.stderr for done in refused)
    assert "unknown" not in egg.run("pipeline", "list", "--json").stdout
    assert list((egg.home / "repos/incoming").iterdir()) == []
    assert not (egg.home / "repos/unknown.git").exists()


def test_a_server_elsewhere_fetches_by_its_own_means(egg: Egg, site: Site, tmp_path: Path) -> None:
    stack = json.loads((egg.home / "stack.json").read_text())
    far = {"EGG_ORCHESTRATOR_URL": stack["api_url"], "EGG_OPERATOR_TOKEN": stack["operator_token"]}
    me = Egg(tmp_path / "no-stack", far)
    me.home.mkdir()
    path = str(tmp_path / "work.json")
    (egg.home / "settings.toml").write_text(f'[fetch]\nhome = "{tmp_path}"\n')
    (tmp_path / ".netrc").write_text(f"machine 127.0.0.1 login {USER} password {PASSWORD}\n")
    try:
        refused = me.run(
            "run", path, "--repo", site.url("shop.git", credential="ada:x"), "--name", "far", check=False
        )
        done = me.run("run", path, "--repo", site.url("shop.git"), "--name", "far", "--wait")
    finally:
        (egg.home / "settings.toml").unlink()

    assert refused.returncode == 2
    assert "[fetch] of the settings.toml there" in refused.stderr
    assert "far: complete" in done.stdout


def test_a_name_that_is_taken_leaves_its_repository_alone(egg: Egg, source: Path, tmp_path: Path) -> None:
    me, path = ours(egg, tmp_path), str(tmp_path / "work.json")
    me.run("run", path, "--name", "taken", "--wait")
    before = git(egg.home / "repos/taken.git", "for-each-ref")
    commit(source, {"more": "more\n"})

    again = me.run("run", path, "--name", "taken", check=False)

    assert again.returncode == 1
    assert "choose another name" in again.stderr
    assert git(egg.home / "repos/taken.git", "for-each-ref") == before
    assert list((egg.home / "repos/incoming").iterdir()) == []


def test_a_name_that_has_no_repository_but_is_taken_leaves_nothing(
    egg: Egg, source: Path, tmp_path: Path
) -> None:
    me, path = ours(egg, tmp_path), str(tmp_path / "work.json")
    me.run("pipeline", "create", path, "--name", "waiting")
    # As if it had been created over HTTP: a worker makes its repository when it starts.
    subprocess.run(["rm", "-rf", str(egg.home / "repos/waiting.git")], check=True)

    again = me.run("run", path, "--name", "waiting", check=False)

    assert again.returncode == 1
    assert "choose another name" in again.stderr
    assert not (egg.home / "repos/waiting.git").exists()
    me.run("pipeline", "start", "waiting")
    egg.wait(lambda: egg.status("waiting") == "complete", why="the end of waiting")
    assert git(egg.home / "repos/waiting.git", "rev-parse", "main") == git(source, "rev-parse", "main")


def test_what_agents_will_not_find_is_said_before_it_runs(egg: Egg, source: Path, tmp_path: Path) -> None:
    (source / "agent.sh").write_text(AGENT)
    definition = DEFINITION | {
        "repo": "shop",
        "agents": {"coder": {"backend": "command", "command": ["bash", "agent.sh"]}},
    }
    path = tmp_path / "work.json"
    path.write_text(json.dumps(definition))
    me = ours(egg, tmp_path)

    said = [
        me.run("validate", str(path)).stderr,
        me.run("pipeline", "create", str(path), "--name", "noted").stderr,
    ]

    for text in said:
        assert "note: agents.coder.command: agent.sh is not committed" in text
        assert "note: 1 uncommitted file in " in text


def test_a_repository_that_cannot_be_reached_is_tried_again_and_why_says_so(egg: Egg, tmp_path: Path) -> None:
    document = DEFINITION | {"repo": "http://127.0.0.1:9/shop.git", "name": "away"}
    stack = json.loads((egg.home / "stack.json").read_text())
    (tmp_path / "work.json").write_text(json.dumps(document))
    far = {"EGG_ORCHESTRATOR_URL": stack["api_url"], "EGG_OPERATOR_TOKEN": stack["operator_token"]}
    me = Egg(tmp_path / "no-stack", far)
    me.home.mkdir()

    me.run("run", str(tmp_path / "work.json"), "--detach")

    egg.wait(lambda: "cannot be reached now" in egg.run("why", "away", "--json").stdout, why="the reason")
    assert "tried again at" in egg.run("why", "away").stdout
    egg.run("pipeline", "cancel", "away")


def detached(source: Path) -> Path:
    git(source, "checkout", "-q", "--detach")
    commit(source, {"lonely": "x\n"})
    return source


def worktree(source: Path) -> Path:
    git(source, "worktree", "add", "-q", str(source.with_name("tree")))
    return source.with_name("tree")


def bare(source: Path) -> Path:
    git(source.parent, "clone", "-q", "--bare", str(source), "bare.git")
    return source.with_name("bare.git")


def partial(source: Path) -> Path:
    for number in (1, 2):
        commit(source, {"data": f"data {number}\n"})
    git(source, "config", "uploadpack.allowFilter", "true")
    git(source.parent, "clone", "-q", "--filter=blob:none", f"file://{source}", "partial")
    return source.with_name("partial")


def sha256(source: Path) -> Path:
    path = source.with_name("sha256")
    path.mkdir()
    git(path, "init", "-q", "-b", "main", "--object-format=sha256")
    commit(path, {"README": "long\n"})
    return path


@pytest.mark.parametrize("kind", [detached, worktree, bare, partial, sha256])
def test_agents_work_on_a_repository_of_any_kind(
    egg: Egg, source: Path, tmp_path: Path, kind: Callable[[Path], Path]
) -> None:
    repository, name = kind(source), kind.__name__
    me, path = ours(egg, tmp_path), str(tmp_path / "work.json")

    me.run("validate", path, "--repo", str(repository))
    me.run("run", path, "--repo", str(repository), "--name", name, "--wait")

    start = git(repository, "rev-parse", "HEAD")
    assert git(repository, "show", f"egg/{name}:note") == "done"
    assert git(repository, "merge-base", f"egg/{name}", start) == start


def test_a_person_at_a_terminal_is_asked_for_the_password(egg: Egg, site: Site, tmp_path: Path) -> None:
    words = [EGG, "validate", str(tmp_path / "work.json"), "--repo", site.url("shop.git")]
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "EGG_HOME": str(egg.home)}
    child, terminal = pty.fork()
    if child == 0:
        os.execve(EGG, words, environment)  # noqa: S606 - no shell wanted
    said = b""
    try:
        for asked, answer in ((b"Username", USER), (b"Password", PASSWORD)):
            while asked not in said:
                said += os.read(terminal, 1000)
            os.write(terminal, answer.encode() + b"\n")
        while b"is sound" not in said:
            said += os.read(terminal, 1000)
    except OSError:
        pytest.fail(said.decode())

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    os.close(terminal)
