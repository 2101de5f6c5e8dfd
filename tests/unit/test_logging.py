"""A log line never fails, wherever it cannot be written."""

import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from celery.platforms import check_privileges

from egg_tasks.logging import Unfailing
from egg_tasks.stack import logs
from egg_tasks.tasks import agent_runs

PROGRAM = """
import structlog
from egg_tasks import logging
logging.configure()
structlog.get_logger().warning("said")
print("went on")
"""


@pytest.mark.parametrize("reader", ["/dev/full", "closed"])
def test_a_line_that_cannot_be_written_ends_nothing(reader: str) -> None:
    if reader == "closed":
        nobody, place = os.pipe()
        os.close(nobody)
    else:
        place = os.open(reader, os.O_WRONLY)

    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], stderr=place, stdout=subprocess.PIPE, text=True, check=False
    )

    os.close(place)
    assert (done.returncode, done.stdout) == (0, "went on\n")


def test_lines_that_were_lost_are_counted_where_they_are_missing(tmp_path: Path) -> None:
    full, log = os.open("/dev/full", os.O_WRONLY), tmp_path / "log"
    stream = Unfailing(full)
    for _ in range(3):
        stream.write("lost\n")
        stream.flush()

    with log.open("wb") as room:
        os.dup2(room.fileno(), full)
    for _ in range(2):
        stream.write("kept\n")
        stream.flush()

    os.close(full)
    assert log.read_text() == "\nlevel=warning event=log.lost lines=3\nkept\nkept\n"


def test_a_log_is_bounded_while_somebody_writes_it(tmp_path: Path) -> None:
    path = tmp_path / "api.log"
    with logs.opened(path) as writer:
        for number in range(40):
            writer.write(b"%04d\n" % number * 100)
            writer.flush()
            logs.trim(tmp_path, longest=999)

    pieces = sorted(tmp_path.iterdir())
    assert [piece.name for piece in pieces] == ["api.log", *(f"api.log.{n}" for n in range(1, logs.KEPT + 1))]
    assert all(piece.stat().st_size <= 1000 for piece in pieces)
    assert (tmp_path / "api.log.1").read_text().endswith("0039\n")


def test_of_a_log_that_grew_out_of_bounds_its_end_is_kept(tmp_path: Path) -> None:
    (tmp_path / "api.log").write_text("begin" + "." * 5000 + "end")

    logs.trim(tmp_path, longest=100)

    assert (tmp_path / "api.log").read_text() == ""
    assert (tmp_path / "api.log.1").read_text() == "." * 97 + "end"


def test_a_worker_of_root_writes_no_warning_of_celerys() -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        agent_runs.run_as_root_in_silence()
        check_privileges(["json"])

    assert told == []
