"""The container engine of this machine, for who is no worker: what it is, and what it lacks for whom.

It is asked at `EGG_DOCKER_HOST` alone. DOCKER_HOST and contexts are other programs', as DATABASE_URL is.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from egg_tasks.runners import engine
from egg_tasks.settings_table import BY_VARIABLE, said
from egg_tasks.stack import lock
from egg_tasks.stack.finding import Finding
from models.errors import EggError, EngineAway, Unprocessable
from models.masking import masked
from models.schemas.run import Container
from models.sizes import in_words

VARIABLE, THEIRS = "EGG_DOCKER_HOST", "DOCKER_HOST"
PATIENCE_SECONDS = 10
"""A person waits for the answer."""
DEFAULT_IMAGE, SMALL_IMAGE = Container().image, "egg-base"
"""What is taken where nothing is said, and what `make image-base` makes."""
LIMITS: Mapping[str, str] = {
    "MemoryLimit": "memory",
    "SwapLimit": "swap",
    "CpuCfsQuota": "processors",
    "PidsLimit": "processes",
}
"""What the engine can bound, by its own names for it."""
JOIN = "`sudo usermod -aG docker $USER`, and log in anew"
REMAPPED = (
    "it gives containers other users (userns-remap), so that nobody could read what agents write: start it "
    "without `userns-remap`, or use one of the user's own (rootless)"
)


def at(url: str) -> engine.Engine:
    """The engine at a URL, which is not waited for long."""
    return engine.at(url, seconds=PATIENCE_SECONDS)


def is_agents(home: Path) -> bool:
    """Whether this process is one of a local stack, whose agents are on this machine with this engine."""
    return lock.holder(home) is not None


def refuse(
    wanted: Mapping[str, Sequence[str]],
    *,
    url: str,
    without: str = "let them be processes of your user, if you trust them: `isolation: process`",
    naming: str = "`isolation: {kind: docker, image: NAME}`",
) -> None:
    """Raise `Unprocessable`, with two ways out, where containers cannot be made.

    *wanted* are the images, each with who is to be in one (`Definition.images`). Engine and images may be
    gone, or have come, when an agent is launched: then they are looked for again.
    """
    if not wanted:
        return
    found = at(url)
    everybody = ", ".join(dict.fromkeys(role for roles in wanted.values() for role in roles))
    try:
        if found.remaps_users:
            raise Unprocessable(
                f"{everybody}: the container engine at {masked(url)} is of no use, {REMAPPED}; or {without}"
            )
        for image, roles in wanted.items():
            if found.find_image(image) is None:
                ways = f"{how_to_make(image)}, or {_how_to_name(found, image, naming)}"
                raise Unprocessable(f"{', '.join(roles)}: the container engine has no image {image}: {ways}")
    except EngineAway as error:
        raise Unprocessable(f"{everybody}: {why_away(error, url)}, or {without}") from error


def _how_to_name(found: engine.Engine, image: str, naming: str) -> str:
    """How one says that another image is to be taken; the small one of ours where it is there."""
    if image == DEFAULT_IMAGE and found.find_image(SMALL_IMAGE):
        return f"take {SMALL_IMAGE}, which it has: {naming.replace('NAME', SMALL_IMAGE)}"
    return f"name one that it has: {naming}"


def how_to_make(image: str) -> str:
    """How one comes by an image that is not there."""
    if image == DEFAULT_IMAGE:
        return "`make image` in a clone of egg makes it"
    if image == SMALL_IMAGE:
        return "`make image-base` in a clone of egg makes it"
    return f"`docker pull {image}`, or build it"


def why_away(error: EngineAway, url: str) -> str:
    """Why an engine does not answer, with the way out."""
    if isinstance(error.__cause__, PermissionError):
        return f"the container engine at {masked(url)} is closed to this user: {JOIN}"
    return f"no container engine answers at {masked(url)}: start one (or say where it is with {VARIABLE})"


def examine(environ: Mapping[str, str]) -> Iterator[Finding]:
    """What a person should know of the engine; *environ* is the shell's, with what settings.toml says."""
    url = said(environ, VARIABLE)
    found = at(url)
    try:
        info = found.info()
    except EngineAway as error:
        yield _away(error, url, environ)
        return
    except EggError as error:
        yield Finding("docker", ok=None, text=error.message, mend="look into the engine's own log")
        return
    yield from of_info(info, url)
    yield _image(found, DEFAULT_IMAGE)


def of_info(info: Mapping[str, object], url: str) -> Iterator[Finding]:
    """What an engine that says *info* of itself is to agents."""
    yield _engine(info, url)
    yield _limits(info)


def _away(error: EngineAway, url: str, environ: Mapping[str, str]) -> Finding:
    """That there is none; what else the shell speaks of is named, and not used."""
    text = f"no engine answers at {masked(url)}; only agents with `isolation: docker` need one"
    theirs = environ.get(THEIRS, "")
    own = f"unix:///run/user/{os.geteuid()}/docker.sock"
    mend = ""
    if isinstance(error.__cause__, PermissionError):
        text = f"{masked(url)} is closed to this user; only agents with `isolation: docker` need it"
        mend = JOIN
    elif theirs and theirs != url:
        mend = (
            f"{THEIRS} is {masked(theirs)}, other programs': {VARIABLE} of the same has egg use that engine"
        )
    elif own != url and Path(own.removeprefix("unix://")).exists():
        mend = f"there is one of your own: {VARIABLE}={own}"
    return Finding("docker", ok=None, text=text, mend=mend)


def _engine(info: Mapping[str, object], url: str) -> Finding:
    options = [str(each) for each in _listed(info.get("SecurityOptions"))]
    where = "" if url == BY_VARIABLE[VARIABLE].default else f" at {masked(url)}"
    text = f"engine {info.get('ServerVersion')}{where}"
    if "name=userns" in options:
        return Finding("docker", ok=None, text=f"{text}, of no use to agents", mend=REMAPPED)
    text += ", rootless" if "name=rootless" in options else ""
    # It would close to them what they are given.
    text += "; SELinux is off in agents' containers" if "name=selinux" in options else ""
    return Finding("docker", ok=True, text=text)


def _limits(info: Mapping[str, object]) -> Finding:
    """Which of the bounds of containers hold: the engine passes over what its kernel has not."""
    version = info.get("CgroupVersion") or "1"
    holds = [word for name, word in LIMITS.items() if info.get(name)]
    lacking = [word for name, word in LIMITS.items() if not info.get(name)]
    if not lacking:
        return Finding("containers", ok=True, text=f"{_and(holds)} are bounded (cgroup v{version})")
    text = f"{_and(lacking)} of agents in containers are not bounded (cgroup v{version})"
    mend = "boot the kernel with `cgroup_enable=memory swapaccount=1`"
    if "name=rootless" in [str(each) for each in _listed(info.get("SecurityOptions"))]:
        mend = "have systemd delegate cpu, memory and pids to your user (`Delegate=` of user@.service)"
    return Finding("containers", ok=None, text=text, mend=mend)


def _image(found: engine.Engine, name: str) -> Finding:
    """The image that is taken where none is said."""
    try:
        image = found.find_image(name)
    except EggError as error:
        return Finding("image", ok=None, text=error.message)
    if image is None:
        mend = f"{how_to_make(name)}; `egg doctor --image NAME` tries another"
        return Finding(
            "image", ok=None, text=f"{name} is not there, which agents are in by default", mend=mend
        )
    text = f"{name}, {in_words(int(image.get('Size') or 0))}; `egg doctor --image {name}` tries it"
    return Finding("image", ok=True, text=text)


def _listed(value: object) -> Sequence[object]:
    return value if isinstance(value, list) else ()


def _and(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
