"""What the hostile agent runs: `python3 -I -S inside.py`, with the names of attempts and facts on its input.

Each attempt is a process of its own, with a while to do its worst; what became of it is in a file of its name
below `said` in the current directory: `succeeded: …` or `refused: …`.
"""

import base64
import json
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.hostile_container import (
    files,
    first_process,
    kernel,
    keys,
    limits,
    network,
    repository,
    way_out,
)
from tests.hostile_container.attempt import ATTEMPTS, Attempt, Facts, Refused

LISTED = (files, first_process, kernel, keys, limits, network, repository, way_out)
SECONDS = 15.0


def attempted(one: Attempt, facts: Facts, place: Path) -> None:
    """Try one, in this process."""
    assert one.program is not None, "what is seen from outside is not sent in"
    try:
        said = f"succeeded: {one.program(facts)}"
    except Refused as error:
        said = f"refused: {error}"
    except OSError as error:
        said = f"refused: {error.strerror or error}"
    except Exception as error:  # noqa: BLE001  whatever stopped it, it has not got there
        said = f"failed: {error!r}"
    say(place, said)


def say(place: Path, said: str) -> None:
    """Write it whole or not at all."""
    place.with_name(f".{place.name}").write_text(said[:300])
    place.with_name(f".{place.name}").rename(place)


def main() -> None:
    """Try all that are asked for."""
    given = json.loads(base64.b64decode(sys.stdin.read()))
    place = Path("said").absolute()
    place.mkdir(exist_ok=True)
    for name in given["names"]:
        child = os.fork()
        if child == 0:
            os.setpgid(0, 0)
            attempted(ATTEMPTS[name], given["facts"], place / name)
            os._exit(0)
        deadline = time.monotonic() + SECONDS
        status = 0
        while (found := os.waitpid(child, os.WNOHANG))[0] == 0 and time.monotonic() < deadline:
            time.sleep(0.002)
        if found[0]:
            status = os.waitstatus_to_exitcode(found[1])
        with suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
        if not (place / name).exists():
            how = f"killed by signal {-status}" if status < 0 else "it never came to an end"
            say(place / name, f"refused: {how}")


if __name__ == "__main__":
    main()
