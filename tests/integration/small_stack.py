"""A stack whose own processes are small, for tests of the stack itself.

Run as a program this file is its supervisor: a web server stands in the API's place, and a worker that
starts something which is to outlive it.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from egg_tasks.stack import commands, lifecycle, manifest, probes, supervisor
from egg_tasks.stack.processes import Program

SUPERVISOR = (sys.executable, __file__)
WEB = """
import http.server, sys
class Door(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def log_message(self, *a):
        pass
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Door).serve_forever()
"""
PARENT = """
import subprocess, sys, time
child = subprocess.Popen(["sleep", "600"], start_new_session=True)
open(sys.argv[1], "w").write(str(child.pid))
time.sleep(600)
"""


def small_programs(found: manifest.Manifest, env: Mapping[str, str]) -> tuple[Program, ...]:
    """The own processes of a stack under test."""
    web = "raise SystemExit('no teapot')" if env.get("EGG_TEST_BROKEN") else WEB
    port = found.api_port
    return (
        Program(
            name="api",
            argv=(sys.executable, "-c", web, str(port)),
            environment=env,
            tier=commands.FRONT,
            is_ready=lambda: probes.http_answers(port, commands.READY_PATH),
        ),
        Program(
            name="worker",
            argv=(sys.executable, "-c", PARENT, env["EGG_HOME"] + "/outliving"),
            environment=env,
            tier=commands.WORKERS,
        ),
    )


@contextlib.contextmanager
def temporary_home(cluster: Path | None = None) -> Iterator[Path]:
    """Lend a home that `nobody` can reach, which pytest's own temporary directories are not.

    It is not there yet, or has a copy of a *cluster* in it: to make one takes a second of processor.
    """
    top = Path(tempfile.mkdtemp(prefix="egg-test-", dir="/tmp"))
    top.chmod(0o711)
    if cluster:
        (top / "home").mkdir()
        copying = (
            "cp",
            "-a",
            "--reflink=auto",
            "--sparse=always",
            str(cluster),
            str(top / "home" / "postgres"),
        )
        subprocess.run(copying, check=True)
    yield top / "home"
    lifecycle.down(top / "home")
    end_of_outliving(top / "home")
    shutil.rmtree(top, ignore_errors=True)


def end_of_outliving(home: Path) -> None:
    """End what the worker of a home has started last."""
    with contextlib.suppress(OSError, ValueError):
        os.kill(int((home / "outliving").read_text()), signal.SIGKILL)


def environ(**more: str) -> dict[str, str]:
    """An environment with nothing in it that leads to a stack, but for *more*."""
    return {"PATH": os.environ["PATH"], "HOME": "/nowhere"} | more


def up(home: Path, **more: str) -> manifest.Manifest:
    """Bring the small stack up."""
    return lifecycle.up(home, report=lambda _: None, environ=environ(**more), command=SUPERVISOR)


if __name__ == "__main__":
    sys.exit(supervisor.main(small_programs))
