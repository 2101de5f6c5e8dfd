"""What is seen from outside: ends, output, what the engine shows, what our git makes of a hostile clone."""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Protocol

from egg_tasks import removal, run_places
from egg_tasks.ports import Runner
from egg_tasks.runners import container_files, container_spec
from egg_tasks.runners.process import ProcessRunner
from egg_tasks.workspace import GitWorkspace
from models.errors import EggError
from models.git_names import role_branch
from models.schemas.run import Launch
from tests.hostile_container import limits
from tests.hostile_container.repository import PROGRAMS
from tests.hostile_container.stage import PLACE, SECRET, Stage, brought, role_of
from tests.integration.runner_scene import end, until

LONG_ENOUGH = 0.3
AT_ONCE = 4
KEPT = 17 << 20
OTHERS = {"git_alternates": "borrow", "git_link": "replace", "submodule": "enclose"}
"""How a clone is made to lead to another agent's, by the attempt."""
PYTHON = ("python3", "-I", "-S", "-c")
HERE = f"import sys; sys.path.insert(0, {PLACE!r}); from pathlib import Path; "
FLOOD = f"{HERE}from tests.hostile_container import limits; limits.flood()"
DEAF = f"{HERE}from tests.hostile_container import limits; limits.deaf_daemon(Path('beat').absolute())"
LEFT = (
    f"{HERE}import os, time; from tests.hostile_container import limits;"
    " os.fork() or limits.deaf_daemon(Path('beat').absolute()); time.sleep(0.4)"
)
TELLING = "import os; print(os.environ['HOSTILE_SECRET'], flush=True)"
LAID = HERE + "from tests.hostile_container import repository as it; it.{name}(Path.cwd(), {where!r})"


class Looked(Protocol):
    """What becomes of an attempt."""

    behind: str
    control: str
    process: str


def outcome(has_succeeded: bool, yes: str, no: str) -> str:
    """In the words of the table."""
    return f"succeeded: {yes}" if has_succeeded else f"refused: {no}"


def ran(stage: Stage, runner: Runner, program: str, fields: Mapping[str, object] | None = None) -> Launch:
    """Start a program as an agent."""
    launch = stage.launch(runner, (*PYTHON, program), fields=fields)
    runner.ensure(launch)
    return launch


def flood(stage: Stage, runner: Runner) -> str:
    """How much of its output is kept."""
    launch = ran(stage, runner, FLOOD)
    end(runner, launch.run_id)
    size = runner.layout(launch.run_id).log.stat().st_size
    return outcome(
        size > KEPT, f"{size >> 20} MB are kept", f"{size >> 20} MB are kept of {limits.OUTPUT >> 20}"
    )


def logged(stage: Stage, runner: Runner, fields: Mapping[str, object] | None = None) -> str:
    """Whether a key is in what it has written."""
    launch = ran(stage, runner, TELLING, fields)
    end(runner, launch.run_id)
    text = runner.read_log(launch.run_id, offset=0, limit=4000).decode()
    return outcome(SECRET in text, "it is there", f"there is {text.strip()!r}")


def beats(clone: Path) -> bool:
    """Whether somebody is still writing in a clone."""
    beat = clone / "beat"
    before = beat.stat().st_mtime_ns
    time.sleep(LONG_ENOUGH)
    return beat.stat().st_mtime_ns > before


def deaf(stage: Stage, runner: Runner, *, is_killed: bool = True) -> str:
    """Whether one lives on that was asked to stop, and then killed."""
    launch = ran(stage, runner, DEAF)
    clone = runner.layout(launch.run_id).clone
    until((clone / "beat").exists)
    runner.stop(launch.run_id)
    time.sleep(LONG_ENOUGH)
    if is_killed:
        runner.kill(launch.run_id)
    seen = outcome(beats(clone), "it works on", "nothing of it works on")
    runner.kill(launch.run_id)
    return seen


def left(stage: Stage, runner: Runner) -> str:
    """Whether a daemon outlives its agent."""
    launch = ran(stage, runner, LEFT)
    clone = runner.layout(launch.run_id).clone
    until((clone / "beat").exists)
    end(runner, launch.run_id)
    return outcome(beats(clone), "it works on", "it is gone with the agent")


def left_bare(stage: Stage) -> str:
    """The same of a program that nobody looks after."""
    place = stage.home / "bare"
    brought(place)
    with subprocess.Popen(
        ["python3", "-c", LEFT.replace(repr(PLACE), repr(str(place / PLACE)))],
        cwd=place,
        start_new_session=True,
    ) as program:
        until((place / "beat").exists)
        program.wait()
        try:
            return outcome(beats(place), "it works on", "it is gone with the agent")
        finally:
            os.kill(int((place / "beat.pid").read_text()), signal.SIGKILL)


def inspected(stage: Stage, runner: Runner) -> str:
    """Whether what the engine shows of a run holds its token or its keys."""
    began = time.time()
    launch = ran(stage, runner, "import time; print('up', flush=True); time.sleep(60)")
    name = container_spec.name(launch.run_id)
    until(lambda: b"up" in runner.read_log(launch.run_id, offset=0, limit=100))
    docker = stage.own.docker
    shown = [docker("inspect", name), docker("logs", name), docker("top", name, "-eo", "pid,args")]
    runner.kill(launch.run_id)
    shown.append(docker("events", "--since", f"{began:.0f}", "--until", f"{time.time() + 1:.0f}"))
    words = (str(launch.token), SECRET, stage.ground.word)
    seen = [word for word in words if any(word in text for text in shown)]
    return outcome(bool(seen), "the engine shows one", "none of them is shown")


def laid(stage: Stage, runner: Runner, name: str, where: str) -> Launch:
    """Have an agent leave something in its clone, and end."""
    launch = ran(stage, runner, LAID.format(name=name, where=where))
    ended = end(runner, launch.run_id)
    assert ended.exit_code == 0, runner.read_log(launch.run_id, offset=0, limit=4000).decode()
    return launch


def eggs_look(stage: Stage, launch: Launch) -> None:
    """Look at a clone in every way that egg does."""
    disk, pipeline, run_id = GitWorkspace(stage.home), stage.facts["pipeline"], launch.run_id
    clone, role = disk.clone_of(run_id), role_of(run_id)
    with suppress(EggError):
        disk.snapshot(pipeline, role=role, run_id=run_id, clone=clone, known="")
    with suppress(EggError):
        disk.take(pipeline, run_id=run_id, clone=clone)
    with suppress(EggError):
        disk.head(pipeline, clone=clone)
    with suppress(EggError):
        disk.salvage(pipeline, role=role, run_id=run_id, clone=clone, branch=role_branch(pipeline, role))
    with suppress(EggError):
        disk.save_strays(pipeline, run_id=run_id, clone=clone)


def plain_look(clone: Path) -> None:
    """Look at it as any program would that trusts what it finds."""
    more = {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    for words in (
        "status", "diff --ext-diff HEAD", "add -A", "commit -q -m kept", "commit -q --no-gpg-sign -m kept",
        "log -p -1", "st", "checkout -q HEAD~0", "commit --amend", "fetch ssh://nobody.invalid/x",
    ):  # fmt: skip
        command = ("git", "-c", "safe.directory=*", *words.split())
        nothing = subprocess.DEVNULL
        with suppress(subprocess.TimeoutExpired):
            subprocess.run(
                command, cwd=clone, env={**os.environ, **more}, check=False, timeout=5,
                stdin=nothing, stdout=nothing, stderr=nothing,
            )  # fmt: skip


def git_programs(stage: Stage, runner: Runner, *, is_plain: bool) -> dict[str, str]:
    """Which programs of a hostile clone are run by who looks at it."""
    marks = stage.home / f"marks-{time.time_ns()}"
    marks.mkdir()
    launch = laid(stage, runner, "lay", str(marks))
    clone = runner.layout(launch.run_id).clone
    plain_look(clone) if is_plain else eggs_look(stage, launch)
    return {
        f"git_{name}": outcome((marks / name).exists(), "it was run", "nothing of it is run")
        for name in PROGRAMS
    }


def others_work(stage: Stage, runner: Runner, name: str, *, is_plain: bool) -> str:
    """Whether another agent's commit comes into the repository by way of a hostile clone."""
    folder, commit = stage.facts["others_clone"], stage.facts["others_commit"]
    launch = laid(stage, runner, name, f"{folder} {commit}")
    clone = runner.layout(launch.run_id).clone
    if is_plain:
        where, at = (clone / "inner" if name == "enclose" else clone), ["-c", "safe.directory=*"]
    else:
        eggs_look(stage, launch)
        where, at = Path(stage.facts["repository"]), []
    command = ["git", *at, "cat-file", "-p", f"{commit}:work.txt"]
    said = subprocess.run(command, cwd=where, capture_output=True, check=False, text=True)
    return outcome("another agent" in said.stdout, "its work was read", "it is not to be had there")


def linked_work(stage: Stage, runner: Runner, *, is_plain: bool) -> str:
    """Whether what a link in the work leads to comes into the repository."""
    launch = laid(stage, runner, "link_to", stage.facts["others_prompt"])
    clone = runner.layout(launch.run_id).clone
    if is_plain:
        with suppress(shutil.Error):
            shutil.copytree(clone, stage.home / f"copy-{launch.run_id}", ignore_dangling_symlinks=True)
        text = (stage.home / f"copy-{launch.run_id}/link.txt").read_bytes()
    else:
        eggs_look(stage, launch)
        everything = ["git", "cat-file", "--batch-all-objects", "--batch"]
        text = subprocess.run(
            everything, cwd=stage.facts["repository"], capture_output=True, check=True
        ).stdout
        assert str(stage.facts["others_prompt"]).encode() in text, "the link itself was kept, as a link"
    return outcome(b"what another agent is told" in text, "what it leads to was copied", "it stays a link")


def told_link(stage: Stage, runner: Runner, *, is_plain: bool) -> str:
    """Whether what an agent is told is written where a link leads that lies in its place."""
    bait = stage.home / f"bait-{time.time_ns()}"
    bait.write_text("as it was")
    program = "import os, time; print('up', flush=True); time.sleep(60)"
    launch = ran(stage, runner, program)
    signal_file = runner.layout(launch.run_id).given / "signal"
    until(lambda: b"up" in runner.read_log(launch.run_id, offset=0, limit=100))
    signal_file.unlink(missing_ok=True)
    signal_file.symlink_to(bait)
    signal_file.write_text("CONVERGE") if is_plain else runner.tell(launch.run_id, "CONVERGE")
    runner.kill(launch.run_id)
    return outcome(bait.read_text() != "as it was", "what it leads to was written", "the link was replaced")


def pit(stage: Stage, runner: Runner, *, is_plain: bool) -> str:
    """Whether what an agent leaves stays where it is."""
    launch = laid(stage, runner, "dig", "d" * 50)
    # Away from what others are about to remove.
    root = stage.home / f"pit-{launch.run_id}"
    root.mkdir()
    given = runner.layout(launch.run_id).given.rename(root / "given")
    said = "nothing of it is left"
    if is_plain:
        try:
            shutil.rmtree(given)
        except RecursionError:
            said = "it stays where it is"
    removal.put_away(root, given.name)
    is_left = not removal.empty(root, seconds=60) or given.exists()
    return outcome(is_left or "stays" in said, "it stays where it is", said)


def forged_stop(stage: Stage, runner: Runner, *, is_believed: bool) -> str:
    """Whether a run that signals its own shim counts as one that we have asked to stop."""
    if isinstance(runner, ProcessRunner):
        return ""
    launch = ran(stage, runner, "import os, signal, time; os.kill(1, signal.SIGTERM); time.sleep(60)")
    ended = end(runner, launch.run_id)
    said = container_files.box(runner.layout(launch.run_id).own) / container_files.OUTCOME
    is_stopped = json.loads(said.read_text())["stopped"] if is_believed else ended.stopped
    return outcome(is_stopped, "it was asked to stop", f"it ended by signal {ended.signal}, not asked to")


def at_all(boxes: Stage, rows: Mapping[str, "Looked"]) -> None:
    """Fill the rows of what is seen from outside."""
    ours, processes = boxes.behind(), ProcessRunner(boxes.home / run_places.RUNS)
    plain = {"secrets": {}, "environment": {"HOSTILE_SECRET": SECRET, "PATH": os.defpath}}
    tries: dict[str, tuple[Callable[[Runner], str], Callable[[], str]]] = {
        "flood": (lambda it: flood(boxes, it), lambda: flood(boxes, boxes.beyond("log"))),
        "deaf": (lambda it: deaf(boxes, it), lambda: deaf(boxes, ours, is_killed=False)),
        "daemon": (lambda it: left(boxes, it), lambda: left_bare(boxes)),
        "pit": (lambda it: pit(boxes, it, is_plain=False), lambda: pit(boxes, ours, is_plain=True)),
        "forged_stop": (
            lambda it: forged_stop(boxes, it, is_believed=False),
            lambda: forged_stop(boxes, ours, is_believed=True),
        ),
        "keys_logged": (lambda it: logged(boxes, it), lambda: logged(boxes, ours, plain)),
        "told_link": (
            lambda it: told_link(boxes, it, is_plain=False), lambda: told_link(boxes, ours, is_plain=True)
        ),
        "link_in_work": (
            lambda it: linked_work(boxes, it, is_plain=False), lambda: linked_work(boxes, ours, is_plain=True)
        ),
        **{name: (
            partial(lambda how, it: others_work(boxes, it, how, is_plain=False), how),
            partial(lambda how: others_work(boxes, ours, how, is_plain=True), how),
        ) for name, how in OTHERS.items()},
    }  # fmt: skip
    with ThreadPoolExecutor(AT_ONCE) as pool:
        filled = {
            name: (pool.submit(look, ours), pool.submit(control), pool.submit(look, processes))
            for name, (look, control) in tries.items()
        }
        told = pool.submit(inspected, boxes, ours), pool.submit(inspected, boxes, boxes.beyond("told"))
        run = [
            pool.submit(git_programs, boxes, runner, is_plain=is_plain)
            for runner, is_plain in ((ours, False), (ours, True), (processes, False))
        ]
    for name, (behind, without, process) in filled.items():
        rows[name].behind, rows[name].control, rows[name].process = (
            found(behind),
            found(without),
            found(process),
        )
    rows["keys_inspected"].behind, rows["keys_inspected"].control = map(found, told)
    for name in PROGRAMS:
        row = rows[f"git_{name}"]
        row.behind, row.control, row.process = (each.result()[f"git_{name}"] for each in run)


def found(said: Future[str]) -> str:
    """What was found, or what came in the way."""
    error = said.exception()
    return f"failed: {error!r}" if error else said.result()
