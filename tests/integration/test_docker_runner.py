"""Agents in real containers of a real engine: what they promise beside what every runner does."""

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from egg_tasks import run_places
from egg_tasks.attending import launching
from egg_tasks.runners import container_files, container_shim, container_spec, engine
from egg_tasks.runners.docker import AGENT_UID, DockerRunner
from egg_tasks.runners.process import ProcessRunner
from models.errors import EngineAway, Unavailable
from models.schemas.run import Container, Exit, Launch
from tests.engine import IMAGE, OwnEngine
from tests.integration.runner_scene import AT_ONCE, end, end_all, launch, output, until
from tests.integration.workspace_scene import Scene, commit

MEGABYTE = 1 << 20
BOX = Container(image=IMAGE, memory=128 * MEGABYTE, cpus=1.5, pids=60, disk=64 * MEGABYTE)
DEAD = 9
SEARCHING = """
import os
from pathlib import Path
print("up")
FILES = "cmdline", "environ", "maps", "mounts", "mountinfo", "mountstats", "stat", "status", "limits"
for process in Path("/proc").iterdir():
    if not process.name.isdecimal():
        continue
    for task in (process, *process.glob("task/*")):
        links = [task / "cwd", task / "root", task / "exe"]
        for folder in ("fd", "map_files"):
            try:
                links += (task / folder).iterdir()
            except OSError:
                pass
        for link in links:
            try:
                print(link, os.readlink(link))
            except OSError as error:
                print(link, error.strerror)
        for name in FILES:
            try:
                print(task / name, (task / name).read_bytes())
            except OSError as error:
                print(task / name, error.strerror)
for path in ("/proc/locks", "/proc/mounts"):
    print(Path(path).read_text())
for found in os.walk("/run"):
    print(found)
"""
"""What anybody in a container finds out about all of its processes."""
STARTING = f"""
import os, sys
from pathlib import Path
from egg_tasks.attending import launching
from egg_tasks.runners import container_files, engine
from egg_tasks.runners.docker import DockerRunner
from models.schemas.run import Launch
home, url, launch, before = sys.argv[1:]
owner, _, name = before.rpartition(".")
setattr(eval(owner), name, lambda *_args, **_more: os._exit({DEAD}))
DockerRunner(Path(home), engine.at(url)).ensure(Launch.model_validate_json(launch))
"""


class Ground:
    """A home whose agents are in containers of the tests' engine."""

    def __init__(self, home: Path, own: OwnEngine) -> None:
        self.home, self.own = home, own
        self.runner = DockerRunner(home, own.client)

    def launch(self, script: str, **fields: object) -> Launch:
        """The launch of a script in a clone of its own."""
        run_id = uuid4()
        layout = self.runner.layout(run_id)
        layout.clone.mkdir(mode=0o700, parents=True)
        more = {"run_id": run_id, "directory": layout.inside.directory, "container": BOX, **fields}
        return launch(script, **more)

    def started(self, script: str, **fields: object) -> UUID:
        """Start a script that says `up` when it is ready, and return then."""
        run = self.launch(script, **fields)
        self.runner.ensure(run)
        until(lambda: "up\n" in output(self.runner, run.run_id))
        return run.run_id

    def ended(self, script: str, **fields: object) -> tuple[Exit, str]:
        """How a script ends, and what it says."""
        run = self.launch(script, **fields)
        self.runner.ensure(run)
        return end(self.runner, run.run_id), output(self.runner, run.run_id)

    def inspected(self, run_id: UUID) -> dict[str, Any]:
        """What `docker inspect` shows of a run."""
        (found,) = json.loads(self.own.docker("inspect", container_spec.name(run_id)))
        assert isinstance(found, dict)
        return found

    def names(self) -> set[str]:
        """The containers that are there, whatever they do."""
        return set(self.own.docker("ps", "-a", "--format", "{{.Names}}").split())


@pytest.fixture
def ground(tmp_path: Path, container_engine: OwnEngine) -> Iterator[Ground]:
    ground = Ground(tmp_path, container_engine)
    yield ground
    end_all(ground.runner)


def test_every_wall_stands_as_the_engine_shows_it(ground: Ground, tmp_path: Path) -> None:
    home = tmp_path / "roles/shop/coder/home"  # made by the start, as that of a role that never ran
    run_id = ground.started("echo up; sleep 60", home=home, token="t0ken", secrets={"KEY": "hush-hush-hush"})

    found = ground.inspected(run_id)

    host, told = found["HostConfig"], json.dumps(found)
    assert found["Config"]["User"] == f"{AGENT_UID}:{AGENT_UID}"
    assert (host["CapDrop"], host["CapAdd"], host["Privileged"]) == (["ALL"], None, False)
    assert set(host["SecurityOpt"]) == {"no-new-privileges:true", "label=disable"}
    assert (host["NetworkMode"], host["PortBindings"], host["ExtraHosts"]) == ("none", None, None)
    assert set(found["NetworkSettings"]["Networks"]) == {"none"}
    assert host["ReadonlyRootfs"] is True
    assert host["Tmpfs"] == {"/tmp": f"rw,exec,nosuid,nodev,mode=1777,size={64 * MEGABYTE}"}
    assert (host["IpcMode"], host["PidMode"], host["UTSMode"]) == ("private", "", "")
    assert host["PidsLimit"] == 60
    assert host["Memory"] == host["MemorySwap"] == 128 * MEGABYTE
    assert host["NanoCpus"] == 1_500_000_000
    limits = {limit["Name"]: (limit["Soft"], limit["Hard"]) for limit in host["Ulimits"]}
    assert limits == {"nofile": (16384, 16384), "core": (0, 0)}
    assert (host["RestartPolicy"]["Name"], host["AutoRemove"], host["Devices"] or []) == ("no", False, [])
    mounts = {mount["Destination"]: (mount["Source"], mount["RW"]) for mount in found["Mounts"]}
    layout = ground.runner.layout(run_id)
    assert {target for target, (_, is_writable) in mounts.items() if is_writable} == {
        "/work",
        "/run/egg-shim",
        "/home/agent",
    }
    assert mounts["/work"] == (str(layout.clone), True)
    assert mounts["/home/agent"] == (str(home), True)
    assert set(mounts) >= {"/opt/egg/bin", "/opt/egg/lib"}
    assert not any("docker.sock" in source for source, _ in mounts.values())
    assert "t0ken" not in told
    assert "hush" not in told


def test_the_walls_hold_from_within(ground: Ground) -> None:
    script = """
    id -u; id -G
    grep -h -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/self/status
    touch /root-is-mine 2>&1; touch /usr/bin/x 2>&1
    ls /sys/class/net; tail -n +2 /proc/net/route | wc -l
    cat /proc/1/environ 2>&1; ls /proc/1/cwd 2>&1; ls /run/egg-shim 2>&1
    cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max 2>/dev/null
    """
    _, said = ground.ended(script)

    lines = [line.replace("\t", " ") for line in said.splitlines()]
    assert lines[:2] == [str(AGENT_UID), str(AGENT_UID)]
    assert "CapEff: 0000000000000000" in lines
    assert "CapBnd: 0000000000000000" in lines
    assert "NoNewPrivs: 1" in lines
    assert "Seccomp: 2" in lines
    assert said.count("Read-only file system") == 2
    assert lines[lines.index("lo") : lines.index("lo") + 2] == ["lo", "0"]
    assert said.count("Permission denied") == 3, "nobody looks into the shim, or finds where it works"
    assert lines[-1] == "60"


def test_nobody_in_it_finds_the_name_of_the_directory_its_shim_works_in(ground: Ground) -> None:
    (ground.home / "gateway").mkdir(mode=0o711)  # so that it has a relay, which is no more than the agent is
    run = ground.launch("placeholder", prompt=SEARCHING, token="t0ken")

    ground.runner.ensure(run.model_copy(update={"argv": ("python3", "-")}))
    assert end(ground.runner, run.run_id).exit_code == 0

    said = output(ground.runner, run.run_id)
    word = container_files.box(ground.runner.layout(run.run_id).own).name
    assert said.count("relay.py") > 1, "the relay was looked at"
    assert "/cwd /\n" in said, "and where it works"
    assert len(word) == 32
    assert word not in said


def test_its_labels_say_whose_it_is_and_its_installations_are_told_apart(ground: Ground) -> None:
    run_id = ground.started(
        "echo up; sleep 60", labels={"egg.pipeline.id": "shop", "egg.agent.role": "coder"}
    )

    labels = ground.inspected(run_id)["Config"]["Labels"]

    assert (labels["egg.pipeline.id"], labels["egg.agent.role"]) == ("shop", "coder")
    assert labels["egg.agent.run"] == str(run_id)
    other = ground.home / "other"
    (other / "shims").mkdir(parents=True)
    assert labels["egg.home"] != container_files.installation(other)
    subprocess.run(["cp", "-a", ground.home / "shims", ground.home / "runs", other], check=True)
    of_the_copy = DockerRunner(other, ground.own.client)
    assert end(of_the_copy, run_id).vanished
    of_the_copy.kill(run_id)
    assert list(ground.runner.list_live()) == [run_id]


def test_a_role_that_is_not_root_owns_what_it_may_write_and_nothing_else_changes_hands(
    ground: Ground, tmp_path: Path
) -> None:
    run = ground.launch("echo x > made; stat -c %u . made old; stat -c %a old")
    clone = ground.runner.layout(run.run_id).clone
    (clone / "old").touch(mode=0o640)
    (tmp_path / "ours").touch()
    (clone / "link").symlink_to(tmp_path / "ours")
    os.link(tmp_path / "ours", clone / "shared")

    ground.runner.ensure(run)
    end(ground.runner, run.run_id)

    assert output(ground.runner, run.run_id).split() == [str(AGENT_UID)] * 3 + ["640"]
    assert (tmp_path / "ours").stat().st_uid == 0
    assert (clone / "link").lstat().st_uid == AGENT_UID


def test_an_agent_has_the_egg_of_agents_and_the_images_own_tools(ground: Ground) -> None:
    run = ground.launch(
        "egg --version; git --version; echo $PATH; pwd", environment={"PATH": "/opt/egg/bin:"}
    )

    ground.runner.ensure(run)
    end(ground.runner, run.run_id)

    version, git, path, where = output(ground.runner, run.run_id).splitlines()
    assert version.startswith("egg")
    assert git.startswith("git version")
    assert path.startswith("/opt/egg/bin:/usr/local/sbin:")
    assert where == "/work"


def test_the_pipelines_repository_is_there_at_its_own_path_to_read(ground: Ground, tmp_path: Path) -> None:
    bare = tmp_path / "repos/shop.git"
    subprocess.run(["git", "init", "-q", "--bare", bare], check=True)
    (bare / "config").write_text("[remote]\n\turl = https://secret@host\n")
    reads = tuple(bare / name for name in ("HEAD", "refs", "packed-refs", "objects", "info"))

    ended, said = ground.ended(
        f"git init -q . && git ls-remote {bare}; echo $?; cat {bare}/config; touch {bare}/refs/x", reads=reads
    )

    assert said.splitlines()[0] == "0"
    assert "secret" not in said
    assert "Read-only file system" in said
    assert ended.exit_code == 1


def test_under_a_closed_umask_it_has_its_egg_and_can_read_the_pipelines_repository(
    ground: Ground, tmp_path: Path
) -> None:
    before = os.umask(0o077)
    try:
        scene = Scene(tmp_path)
        run = ground.launch("placeholder")
        first = scene.clone()
        commit(first.path, {"x.py": "x"})
        taken = scene.take(first)
        scene.salvage(first)
        reads = tuple(scene.bare / name for name in launching.READABLE)
        script = (
            "egg --version && git init -q --bare c && cd c"
            f" && git fetch -q {scene.bare} 'refs/*:refs/*' && git rev-parse refs/heads/{first.branch}"
        )
        argv = ("sh", "-c", script)
        path = {"PATH": "/opt/egg/bin:"}
        ground.runner.ensure(run.model_copy(update={"argv": argv, "reads": reads, "environment": path}))
    finally:
        os.umask(before)

    assert end(ground.runner, run.run_id).exit_code == 0, output(ground.runner, run.run_id)
    assert output(ground.runner, run.run_id).split()[-1] == taken
    assert stat.S_IMODE(scene.bare.stat().st_mode) == 0o700, "nobody else on this machine can"


@pytest.mark.parametrize("before", ["engine.Engine.start", "container_files.note_started"])
def test_what_ends_in_the_middle_of_a_start_is_taken_up_and_starts_once(ground: Ground, before: str) -> None:
    run = ground.launch("echo x >> starts")
    argv = [sys.executable, "-c", STARTING, str(ground.home), ground.own.url, run.model_dump_json(), before]

    done = subprocess.run(argv, check=False, cwd=Path(__file__).parents[2])
    ground.runner.ensure(run)

    assert done.returncode == DEAD
    assert end(ground.runner, run.run_id).exit_code == 0
    assert (ground.runner.layout(run.run_id).clone / "starts").read_text() == "x\n"


def test_a_container_that_was_told_nothing_is_made_anew(ground: Ground) -> None:
    run = ground.launch("echo x >> starts")
    spec = container_files.write
    own = ground.runner.layout(run.run_id).own
    spec(ground.runner.layout(run.run_id).given, own, run, owner=AGENT_UID, engine=ground.own.url)
    made = ground.runner._made(run, BOX, own, ground.runner._user())

    ground.own.client.start(made.id, fed=b"")
    until(lambda: ground.own.client.find(made.id).is_over)  # type: ignore[union-attr]
    ground.runner.ensure(run)

    assert end(ground.runner, run.run_id).exit_code == 0
    assert (ground.runner.layout(run.run_id).clone / "starts").read_text() == "x\n"


def test_a_run_that_is_over_leaves_no_container_and_says_the_same_for_good(ground: Ground) -> None:
    run = ground.launch("echo done; exit 3")
    ground.runner.ensure(run)

    ended = end(ground.runner, run.run_id)

    assert container_spec.name(run.run_id) not in ground.names()
    assert end(ground.runner, run.run_id) == ended
    assert output(ground.runner, run.run_id) == "done\n"


def test_one_that_takes_more_memory_than_it_may_says_so(ground: Ground) -> None:
    ended, _ = ground.ended("exec python3 -c 'x = bytearray(1 << 30)'")

    assert (ended.signal, ended.is_out_of_memory) == (signal.SIGKILL, True)


def test_one_whose_shim_is_killed_has_vanished_and_left_nobody(ground: Ground) -> None:
    run_id = ground.started("setsid sleep 601 & echo up; sleep 602")

    ground.own.docker("kill", "--signal", "KILL", container_spec.name(run_id))
    ended = end(ground.runner, run_id)

    assert ended.vanished
    assert not ended.stopped
    assert container_spec.name(run_id) not in ground.names()


def test_no_agent_ends_its_shim_or_forges_its_end(ground: Ground) -> None:
    forging = (
        "find / -xdev -name outcome.json -o -name output.log 2>/dev/null; ls -d /run/egg-shim/* /proc/1/fd/*"
    )
    ended, said = ground.ended(f"kill -9 1; {forging}; echo still; exit 4")

    assert ended.exit_code == 4
    assert said.splitlines()[-1] == "still"
    assert "outcome.json" not in said


def test_kill_ends_a_run_whose_shim_is_stuck(ground: Ground) -> None:
    run_id = ground.started("echo up; sleep 603")
    ground.own.docker("kill", "--signal", "STOP", container_spec.name(run_id))

    ground.runner.kill(run_id)

    assert end(ground.runner, run_id) == Exit(stopped=True)


@pytest.mark.parametrize(
    ("container", "said"),
    [
        (BOX.model_copy(update={"image": "no-such-image"}), "no image no-such-image"),
        (BOX.model_copy(update={"runtime": "no-such-runtime"}), "no-such-runtime"),
    ],
)
def test_what_the_engine_has_not_is_the_runs_end_and_is_not_tried_again(
    ground: Ground, container: Container, said: str
) -> None:
    ended, _ = ground.ended("true", container=container)

    assert (ended.is_missing, ended.exit_code) == (True, None)
    assert said in (ended.error or "")


def test_without_an_engine_a_start_waits_and_process_agents_are_not_held_up(tmp_path: Path) -> None:
    away = DockerRunner(tmp_path, engine.at("unix:///no/such/docker.sock"))

    with pytest.raises(EngineAway, match=r"no container engine answers at .* EGG_DOCKER_HOST"):
        away.ensure(launch("true", container=BOX))

    assert not away.has_started(uuid4())
    assert list(away.list_live()) == []
    assert away.wait(uuid4(), timeout=AT_ONCE) == Exit()
    away.stop(run_id := uuid4())
    away.kill(run_id)
    assert away.wait(run_id, timeout=AT_ONCE) == Exit(stopped=True)


def test_runs_of_either_kind_are_none_of_the_others_business(ground: Ground) -> None:
    in_container = ground.started("echo up; sleep 60")
    processes = ProcessRunner(ground.home / "runs")
    run = launch("echo up; sleep 60")
    processes.ensure(run)
    until(lambda: output(processes, run.run_id) == "up\n")

    assert list(ground.runner.list_live()) == [in_container]
    assert list(processes.list_live()) == [run.run_id]
    assert processes.list_newer() == []
    with pytest.raises(Unavailable, match="lives"):
        ground.runner.forget(in_container)
    processes.forget(in_container)
    assert list(ground.runner.list_live()) == list(ground.runner.list_present()) == [in_container]
    assert output(ground.runner, in_container) == "up\n"
    processes.kill(run.run_id)


def egg(home: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    """Type a command of a person's, in a shell that knows of no engine."""
    return subprocess.run(
        [sys.executable, "-c", "from cli.main import run; raise SystemExit(run())", *words],
        env={"PATH": os.environ["PATH"], "EGG_HOME": str(home)},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_person_sees_and_ends_the_agents_in_containers_of_a_stack_that_is_down(ground: Ground) -> None:
    run_id = ground.started("echo up; sleep 60")

    seen, left = egg(ground.home, "status"), egg(ground.home, "down")
    stopped = egg(ground.home, "down", "--agents", "--json")

    assert "1 still run without it" in seen.stdout
    assert "1 agent still runs" in left.stderr
    assert "1 running agent was asked to end" in stopped.stderr
    assert json.loads(stopped.stdout)["agents_live"] == 1
    assert end(ground.runner, run_id).stopped


def test_where_their_engine_is_away_a_person_is_told_so_and_nothing_is_hidden(
    tmp_path: Path, container_engine: OwnEngine
) -> None:
    link = tmp_path / "docker.sock"
    link.symlink_to(container_engine.url.removeprefix("unix://"))
    linked = Ground(tmp_path, container_engine)
    linked.runner = DockerRunner(tmp_path, engine.at(f"unix://{link}"))
    run_id = linked.started("echo up; sleep 60")
    link.unlink()

    seen, left = egg(tmp_path, "status"), egg(tmp_path, "down")
    stopped = egg(tmp_path, "down", "--agents", "--json")

    doubt = (
        f"whether 1 agent in containers still run is not known: no container engine answers at unix://{link}"
    )
    assert doubt in " ".join(seen.stdout.split())
    assert (doubt in left.stderr, left.returncode) == (True, 0)
    assert (doubt in stopped.stderr, stopped.returncode) == (True, 1)
    assert json.loads(stopped.stdout)["agents_unknown"] == 1
    link.symlink_to(container_engine.url.removeprefix("unix://"))
    assert list(linked.runner.list_live()) == [run_id]
    end_all(linked.runner)


def test_an_old_run_in_an_engine_that_is_gone_keeps_nobody_in_another_from_being_ended(
    ground: Ground, tmp_path: Path
) -> None:
    link = tmp_path / "gone.sock"
    link.symlink_to(ground.own.url.removeprefix("unix://"))
    runner, ground.runner = ground.runner, DockerRunner(ground.home, engine.at(f"unix://{link}"))
    old = ground.started("echo up; sleep 60")
    ground.runner = runner
    link.unlink()
    run_id = ground.started("echo up; sleep 60")

    seen = egg(ground.home, "status")
    stopped = egg(ground.home, "down", "--agents", "--json")

    doubt = (
        f"whether 1 agent in containers still run is not known: no container engine answers at unix://{link}"
    )
    assert doubt in " ".join(seen.stdout.split())
    assert (doubt in stopped.stderr, stopped.returncode) == (True, 1)
    counts = json.loads(stopped.stdout)
    assert (counts["agents_live"], counts["agents_unknown"]) == (1, 1)
    assert end(ground.runner, run_id).stopped
    link.symlink_to(ground.own.url.removeprefix("unix://"))
    assert list(ground.runner.list_live()) == [old]


@pytest.mark.parametrize(("code", "status"), [(0, 0), (3, container_shim.UNWELL)])
def test_that_all_went_well_is_believed_only_where_the_container_itself_says_so(
    ground: Ground, code: int, status: int
) -> None:
    run = ground.launch(f"exit {code}")
    ground.runner.ensure(run)
    box = container_files.box(run_places.ours(run_places.given(ground.home, run.run_id)))
    ended = ground.own.docker("wait", container_spec.name(run.run_id)).strip()

    (box / "outcome.json").write_text('{"exit_code": 0}')

    assert ended == str(status)
    assert end(ground.runner, run.run_id) == Exit(exit_code=status)


@pytest.mark.parametrize("agent_uid", [AGENT_UID, 0])
def test_agents_that_are_the_same_user_as_egg_say_nothing_of_the_machines_sleep(
    tmp_path: Path, agent_uid: int
) -> None:
    runner = DockerRunner(tmp_path, engine.at("unix:///no/such/docker.sock"), agent_uid=agent_uid)
    run = launch("true", container=BOX)
    given = run_places.given(tmp_path, run.run_id)
    own = run_places.ours(given)
    container_files.write(given, own, run, owner=os.geteuid(), engine="unix:///no/such/docker.sock")
    container_files.note_started(own)
    (container_files.box(own) / "alive").touch()

    heard = runner.list_silences(since=datetime.now(UTC) - timedelta(hours=1))

    assert len(heard) == (0 if agent_uid == os.geteuid() else 1)


def test_a_run_is_looked_for_in_the_engine_it_was_started_in(ground: Ground) -> None:
    run_id = ground.started("echo up; sleep 60")

    since = DockerRunner(ground.home, engine.at("unix:///no/such/docker.sock"))

    assert list(since.list_live()) == [run_id]
    assert since.wait(run_id, timeout=AT_ONCE) is None
    since.kill(run_id)
    assert end(ground.runner, run_id).stopped


def test_many_at_once_start_once_each(ground: Ground) -> None:
    runs = [ground.launch(f"echo x >> starts; exit {number}") for number in range(6)]

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(ground.runner.ensure, [*runs, *runs]))
        codes = list(pool.map(lambda run: end(ground.runner, run.run_id).exit_code, runs))

    assert codes == list(range(6))
    starts: Callable[[Launch], str] = lambda run: (  # noqa: E731
        (ground.runner.layout(run.run_id).clone / "starts").read_text()
    )
    assert {starts(run) for run in runs} == {"x\n"}
