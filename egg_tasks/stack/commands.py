"""The processes of our own that a local stack runs, as data."""

import os
from collections.abc import Mapping
from pathlib import Path

from egg_tasks import agent_tools, descriptors, interpreter
from egg_tasks.config import SPARE_THREADS, webhook_of
from egg_tasks.settings_table import DATABASE_URL, REDIS_URL, SETTINGS, number
from egg_tasks.stack import probes
from egg_tasks.stack.manifest import Manifest
from egg_tasks.stack.processes import Program

NODE = "local"
CONTROL_THREADS = "8"
FRONT, WORKERS = 2, 3
READY_PATH = "/api/v1/ready"
GATEWAY_PATH = "/health"
OF_AN_AGENT = (
    "EGG_SESSION_TOKEN",
    "EGG_PIPELINE_ID",
    "EGG_AGENT_",
    "EGG_PHASE",
    "EGG_ITERATION",
    "EGG_BRANCH",
)
LARGE_PAGES = {
    "PYTHONMALLOC": "malloc",
    # One arena: with one for each thread, every thread would have a large page to itself.
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1:glibc.malloc.arena_max=1",
}
"""Has glibc ask for large pages: a virtual machine may spend most of its time looking up small ones."""


def environment(home: Path, environ: Mapping[str, str], manifest: Manifest | None) -> dict[str, str]:
    """Return what our processes find in their environment: ours, the user's EGG_*, and nothing else.

    Each setting is there, if only as empty: what settings.toml says later is not theirs.
    """
    settled = {setting.variable: "" for setting in SETTINGS if setting.variable and setting.key}
    given = settled | {
        name: value
        for name, value in environ.items()
        if name.startswith("EGG_") and not name.startswith(OF_AN_AGENT)
    }
    own = {
        "EGG_HOME": str(home),
        "HOME": environ.get("HOME", str(home)),
        "LANG": environ.get("LANG", "C.UTF-8"),
        "PATH": _fixed(environ.get("PATH", "")),
    }
    if manifest is None:
        # Settled here, where the user's shell is known: what the supervisor starts hears of it from us.
        own[agent_tools.VARIABLE] = agent_tools.agents_path(environ, home)
    else:
        own |= {
            DATABASE_URL: manifest.database_url,
            REDIS_URL: manifest.redis_url,
            "EGG_ORCHESTRATOR_URL": manifest.api_url,
            "EGG_OPERATOR_TOKEN": manifest.operator_token,
            "EGG_GATEWAY_PORT": str(manifest.gateway_port),
            "EGG_NODE": environ.get("EGG_NODE") or NODE,
        }
    return given | own | LARGE_PAGES


def _fixed(path: str) -> str:
    """A PATH for ourselves: an entry that depends on the current directory would find what agents wrote."""
    entries = [entry for entry in path.split(os.pathsep) if Path(entry).is_absolute()]
    return os.pathsep.join(entries) or "/usr/local/bin:/usr/bin:/bin"


def ours(manifest: Manifest, env: Mapping[str, str]) -> tuple[Program, ...]:
    """Return API, gateway, reconciler, Flower and the two workers; the first two tell when it is ready."""
    node, threads = env["EGG_NODE"], str(number(env, "EGG_NODE_CAPACITY") + SPARE_THREADS)
    webhook_of(env)
    return (
        _api(manifest, env),
        _gateway(manifest, env),
        _reconciler(env),
        _flower(manifest, env),
        _worker("control", env, node=node, queues="control", threads=CONTROL_THREADS),
        _worker("agents", env, node=node, queues=f"agents,agents.{node}", threads=threads),
    )


def _api(manifest: Manifest, env: Mapping[str, str]) -> Program:
    where = ("--host", "127.0.0.1", "--port", str(manifest.api_port))
    return Program(
        name="api",
        argv=interpreter.command("uvicorn", *descriptors.api_arguments(), *where, "--no-access-log"),
        environment=env,
        directory=interpreter.OURS,
        tier=FRONT,
        is_ready=lambda: probes.http_answers(manifest.api_port, READY_PATH),
        door=manifest.api_port,
    )


def _gateway(manifest: Manifest, env: Mapping[str, str]) -> Program:
    return Program(
        name="gateway",
        argv=interpreter.command("egg_tasks.gateway.server", str(manifest.gateway_port)),
        environment=env,
        directory=interpreter.OURS,
        tier=FRONT,
        is_ready=lambda: probes.http_answers(manifest.gateway_port, GATEWAY_PATH),
        stop_seconds=5,
        beats=True,
    )


def _reconciler(env: Mapping[str, str]) -> Program:
    return Program(
        name="reconciler",
        argv=interpreter.command("egg_tasks.reconciler"),
        environment=env,
        directory=interpreter.OURS,
        tier=FRONT,
        beats=True,
    )


def _worker(kind: str, env: Mapping[str, str], *, node: str, queues: str, threads: str) -> Program:
    name = f"{kind}@{node}"
    what = ("worker", "-Q", queues, "-n", name, "--pool", "threads", "--concurrency", threads)
    quiet = ("--without-gossip", "--without-mingle", "-l", "WARNING")
    return Program(
        name=f"worker-{kind}",
        argv=interpreter.command("celery", "--quiet", "-A", "egg_tasks.app", *what, *quiet),
        environment=env,
        directory=interpreter.OURS,
        tier=WORKERS,
        celery_node=name,
        hears_shell=kind == "agents",
    )


def _flower(manifest: Manifest, env: Mapping[str, str]) -> Program:
    where = ("--address=127.0.0.1", f"--port={manifest.flower_port}")
    return Program(
        name="flower",
        argv=interpreter.command("celery", "-A", "egg_tasks.app", "flower", *where),
        environment={**env, "FLOWER_BASIC_AUTH": manifest.flower_login},
        directory=interpreter.OURS,
        tier=FRONT,
        stop_seconds=3,
    )
