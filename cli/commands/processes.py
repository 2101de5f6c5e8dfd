"""The processes of a cluster; each is the ordinary program, started with the flags it must have."""

import os

import click

from cli import server, shell

CELERY = ("celery", "-A", "egg_tasks.app")
QUIET = ("--without-gossip", "--without-mingle")


@click.group()
def worker() -> None:
    """Run a Celery worker.

    An installation needs at least one of each kind.

    Example:  egg worker agents --concurrency 50
    """


@worker.command()
@click.option("--concurrency", type=click.IntRange(1), default=8, show_default=True, help="Threads.")
@click.option("--loglevel", default="info", show_default=True, help="What Celery logs.")
def control(*, concurrency: int, loglevel: str) -> None:
    """Run the worker that decides and merges.

    The same as: celery -A egg_tasks.app worker --pool threads --queues control
    """
    _work("control", "control", concurrency, loglevel)


@worker.command()
@click.option("--concurrency", type=click.IntRange(1), help="Threads (default: EGG_NODE_CAPACITY + 8).")
@click.option("--loglevel", default="info", show_default=True, help="What Celery logs.")
def agents(*, concurrency: int | None, loglevel: str) -> None:
    """Run the worker of agents. It starts them on this machine and looks after them.

    EGG_NODE_CAPACITY says how many at once; the other threads put back what there is no place for.

    The same as: celery -A egg_tasks.app worker --pool threads --queues agents,agents.NODE
    """
    from egg_tasks.config import SPARE_THREADS, settings

    node = settings().node
    threads = concurrency or settings().node_capacity + SPARE_THREADS
    _work("agents", f"agents,agents.{node}", threads, loglevel)


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(1, 65535), default=8700, show_default=True, help="The port.")
def api(*, host: str, port: int) -> None:
    """Run the HTTP server that agents and people talk to.

    The same as: uvicorn egg_tasks.api.app:create_app --factory --http egg_tasks.api.connections:Connection
    """
    from egg_tasks import descriptors

    _look()
    _need_port(host, port)
    _become("uvicorn", *descriptors.api_arguments(), "--host", host, "--port", str(port))


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), default=8780, show_default=True, help="The port.")
def gateway(*, port: int) -> None:
    """Run the way out of this machine's agents.

    A local stack runs its own.

    Those in containers come by the socket EGG_HOME/gateway/gateway.sock, others by the port, on 127.0.0.1.

    The same as: python -m egg_tasks.gateway.server PORT
    """
    _look()
    _need_port("127.0.0.1", port)
    _become("egg_tasks.gateway.server", str(port))


@click.command()
def reconcile() -> None:
    """Run the loop that repairs what a lost wake-up left.

    One works; more of them wait for it to end.

    The same as: python -m egg_tasks.reconciler
    """
    _look()
    _become("egg_tasks.reconciler")


@click.command()
@click.option("--address", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(1, 65535), default=5555, show_default=True, help="The port.")
def flower(*, address: str, port: int) -> None:
    """Run Flower, which shows Celery at work; a local stack runs its own.

    FLOWER_BASIC_AUTH=user:password is its login.

    The same as: celery -A egg_tasks.app flower
    """
    from egg_tasks.config import settings

    settings()
    _need_port(address, port)
    _become(*CELERY, "flower", f"--address={address}", f"--port={port}")


def _work(kind: str, queues: str, threads: int, loglevel: str) -> None:
    """Become a worker, named by its kind and this node."""
    from egg_tasks.config import settings

    _look()
    name = f"{kind}@{settings().node}"
    what = ("worker", "-n", name, "-Q", queues, "--pool", "threads", "--concurrency", str(threads))
    _become(*CELERY, *what, *QUIET, "-l", loglevel)


def _look() -> None:
    """Refuse settings that are not right, and a database whose schema is not the newest."""
    from egg_tasks.config import settings
    from migrations import applied

    applied.require_head(settings().database_url)


def _need_port(host: str, port: int) -> None:
    """Refuse a port that is somebody else's: what the programs say of it is their traceback."""
    from egg_tasks.stack import tcp_ports
    from models.errors import Unavailable

    if fault := tcp_ports.fault(host, port):
        raise Unavailable(f"port {port} of {host} {fault}: give another one with --port")


def _become(module: str, *arguments: str) -> None:
    """Replace this process by a Python program, so that signals and the exit code are its own."""
    from egg_tasks import interpreter

    words = interpreter.command(module, *arguments)
    # It works elsewhere, where a relative path would mean something else.
    environment = interpreter.unled(shell.environ()) | {"EGG_HOME": str(server.home())}
    os.chdir(interpreter.OURS)
    os.execve(words[0], words, environment)  # noqa: S606  no shell wanted
