"""An image is tried: one container is made of it as of an agent, and says what it finds there."""

import json
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

from egg_tasks import local_engine
from egg_tasks.runners import container_spec
from egg_tasks.runners.docker import DockerRunner
from egg_tasks.runners.engine import Engine
from egg_tasks.stack.finding import Finding
from models.errors import EggError, EngineAway
from models.schemas.run import Container, Exit, Launch

LONGEST = timedelta(seconds=60)
MEMORY = 512 << 20
MADE, PREFIX, TRIAL = "made", ".egg-trial-", "egg.trial"
LEFT_SECONDS = 600.0
"""Older than any trial that goes on."""
PROBE = f"""
import json, os, shutil, subprocess, sys

def said(*argv):
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=30)
    except OSError as error:
        return {{"fault": error.strerror}}
    fault = "" if done.returncode == 0 else (done.stderr.strip() or f"exit code {{done.returncode}}")[-300:]
    return {{"said": done.stdout.strip()[:100], "fault": fault}}

def written(path):
    try:
        open(path, "x").close()
    except OSError as error:
        return error.strerror
    return ""

print(json.dumps({{
    "python": sys.version.split()[0],
    "executable": sys.executable,
    "sh": said("sh", "-c", "echo here"),
    "git": said("git", "--version"),
    "egg": said("egg", "--version"),
    "work": written({MADE!r}),
    "temporary": written("/tmp/{MADE}"),
}}))
"""


def examine(image: str, *, url: str, agent_uid: int, home: Path) -> Iterator[Finding]:
    """Start a container of *image* once, with all walls, and say of each thing whether agents find it there.

    Its files are on the disk of *home*, as those of agents, in a directory that goes again.
    """
    engine = local_engine.at(url)
    try:
        if engine.find_image(image) is None:
            mend = local_engine.how_to_make(image)
            yield Finding("image", ok=False, text=f"the engine has no {image}", mend=mend)
            return
        place = next(path for path in (home, *home.parents) if path.is_dir())
        label = {TRIAL: str(place)}
        _sweep(engine, place, label)
        with tempfile.TemporaryDirectory(prefix=PREFIX, dir=place, ignore_cleanup_errors=True) as own:
            yield from _tried(DockerRunner(Path(own), engine, agent_uid=agent_uid), image, label)
    except EngineAway as error:
        yield Finding("docker", ok=False, text=local_engine.why_away(error, url))
    except (EggError, OSError) as error:
        yield Finding("image", ok=False, text=str(error), mend="look into the engine's own log")


def _sweep(engine: Engine, place: Path, label: Mapping[str, str]) -> None:
    """Remove what killed trials have left: containers that have come to their end, and directories."""
    living = {labels[container_spec.RUN] for labels in engine.list_labels(label, lives=True)}
    for labels in engine.list_labels(label, lives=False):
        if labels[container_spec.RUN] not in living:
            engine.remove(container_spec.name(UUID(labels[container_spec.RUN])))
    for left in place.glob(f"{PREFIX}*"):
        if not left.is_symlink() and time.time() - left.stat().st_mtime > LEFT_SECONDS:
            shutil.rmtree(left, ignore_errors=True)


def _tried(runner: DockerRunner, image: str, label: Mapping[str, str]) -> Iterator[Finding]:
    run_id = uuid4()
    layout = runner.layout(run_id)
    layout.clone.mkdir(mode=0o700, parents=True)
    launch = Launch(
        run_id=run_id,
        argv=("python3", "-I", "-c", PROBE),
        environment={"PATH": f"{container_spec.TOOLS}:"},
        directory=layout.inside.directory,
        container=Container(image=image, memory=MEMORY, pids=128),
        labels=dict(label),
    )
    try:
        runner.ensure(launch)
        ended = runner.wait(run_id, timeout=LONGEST)
        text = runner.read_log(run_id, offset=0, limit=1 << 16).decode(errors="replace")
        yield from _findings(image, ended, text, layout.clone)
    finally:
        runner.kill(run_id)
        shutil.rmtree(layout.clone, ignore_errors=True)


def _findings(image: str, ended: Exit | None, text: str, clone: Path) -> Iterator[Finding]:
    mend = "an image of agents needs sh, git and a python3 of 3.11 or newer: docs/howto/containers.md"
    said = read(text)
    if ended is None:
        yield Finding("image", ok=False, text=f"{image} came to no end within a minute", mend=mend)
        return
    if not said:
        why = ended.error or text.strip()[-300:] or "its container ended without a word"
        yield Finding("image", ok=False, text=why, mend=mend)
        return
    yield Finding("python3", ok=True, text=f"{said['python']} ({said['executable']})")
    for name in ("sh", "git", "egg"):
        told = said[name]
        found: Mapping[str, object] = told if isinstance(told, dict) else {}
        fault = found.get("fault")
        way = "what is in /opt/egg is egg's own: tell its authors" if name == "egg" else mend
        yield Finding(name, ok=not fault, text=str(fault or found.get("said")), mend=way if fault else "")
    yield _files(said, clone)


def _files(said: Mapping[str, object], clone: Path) -> Finding:
    """Whether what an agent writes is its own user's, where we see it."""
    mend = "files of EGG_HOME must belong on this machine to who wrote them in a container: use another disk"
    if fault := said["work"] or said["temporary"]:
        return Finding("files", ok=False, text=f"nothing can be written there: {fault}", mend=mend)
    try:
        found, wanted = (clone / MADE).stat().st_uid, clone.stat().st_uid
    except OSError as error:
        return Finding("files", ok=False, text=f"what it wrote is not seen here: {error.strerror}", mend=mend)
    text = f"what it writes belongs to user {found}"
    return Finding("files", ok=found == wanted, text=text, mend="" if found == wanted else mend)


def read(text: str) -> Mapping[str, object]:
    """What the program said, which may be anything of an image that is none."""
    try:
        found: object = json.loads(text.strip().rpartition("\n")[2])
    except (ValueError, RecursionError):
        return {}
    wanted = {"python", "executable", "sh", "git", "egg", "work", "temporary"}
    return found if isinstance(found, dict) and wanted <= found.keys() else {}
