"""Keys that are not its own, in all that an agent can read; and its own, in all that others can."""

import os
from pathlib import Path

from tests.hostile_container.attempt import HOLDS, MACHINES, Facts, Refused, attempt, looked_at

LARGEST = 1 << 20
LOOKED_AT = ("environ", "cmdline", "mountinfo", "cgroup", "maps")


def holding(word: str, text: str, where: str) -> str | None:
    """Say where a word was found, if it was."""
    return f"{where} holds it" if word in text else None


@attempt("egg's own keys, in the environment of anything here", wall="environment", process=HOLDS)
def keys_in_environment(facts: Facts) -> str:
    for place in ["/proc/self", *(f"/proc/{name}" for name in os.listdir("/proc") if name.isdecimal())]:
        for name in LOOKED_AT:
            try:
                said = Path(place, name).read_text(errors="replace")
            except OSError:
                continue
            # Of the machine's other processes an agent without a container is told more than this asks.
            is_own = place == "/proc/self" or facts.get("isolation") != "process"
            if is_own and (found := holding(facts["operator"], said, f"{place}/{name}")):
                return found
    raise Refused("they are nowhere here")


@attempt("egg's own keys, in the image and in what is mounted", wall="environment", process=HOLDS)
def keys_in_files(facts: Facts) -> str:
    tops = ("..",) if facts.get("isolation") == "process" else ("/run", "/opt/egg", "/etc", "/home")
    for top in tops:
        for folder, folders, names in os.walk(top):
            # What it has found by other ways, and has written down.
            folders[:] = [each for each in folders if each != "said"]
            for place in (Path(folder, name) for name in names):
                try:
                    is_read = place.is_file() and not place.is_symlink() and place.stat().st_size < LARGEST
                    said = place.read_text(errors="replace") if is_read else ""
                except OSError:
                    continue
                if found := holding(facts["operator"], said, str(place)):
                    return found
    raise Refused("they are nowhere here")


looked_at(
    "keys_inspected", "its token and keys, in what the engine shows of it", wall="told", process=MACHINES
)
looked_at("keys_logged", "its keys, in its output", wall="hidden", process=HOLDS)
