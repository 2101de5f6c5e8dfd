"""One hostile agent beside eight pipelines at work: `make hostile`.

The same work is done twice on a stack with its own limits, first alone, then beside an agent that floods the
API, lays traps where we read and ends badly again and again. Prints both side by side: how late messages
were, how long the last READY waited for its phase's closing, and the memory of every process of ours. Exit
code 1 if a pipeline does not end well, a run of the hostile agent stays open or ends without a sentence, or
a process of ours grows.
"""

import argparse
import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import func, select

from benchmarks import engine_chain, usage
from benchmarks.engine_work import ENDED, client, document, submit, wait
from benchmarks.figures import Figure, as_table, machine, quantile, write_json
from benchmarks.stack import Stack, running
from egg_tasks.database import unit_of_work
from models.errors import EggError
from models.states import DecisionStatus
from models.tables import AgentRun, Decision, Event, Pipeline

PIPELINES, PHASES, SECONDS_A_RUN = 8, 90, 60.0
SHORT = (3, 4, 12.0)
AIM = 2.0
"""Beside the hostile agent nothing of the others' takes more than so many times as long."""
GROWN_MEGABYTES = 100.0
"""So much more memory than beside nobody is no longer flat."""
HOSTILE, MOST_PHASES = "hostile", 500
PLAYER = (sys.executable, "-I", "-S")
LONGEST_SECONDS = 1800.0
CLOSED_SECONDS = 60.0
LOOK_AGAIN_SECONDS = 1.0


def main() -> int:
    """Run both passes as the command line asks for; the exit code."""
    parser = argparse.ArgumentParser(prog="make hostile", description=__doc__)
    parser.add_argument("--pipelines", type=int, default=PIPELINES, help=f"beside it ({PIPELINES})")
    parser.add_argument("--phases", type=int, default=PHASES, help=f"of each; some 3.5 s long ({PHASES})")
    parser.add_argument("--seconds", type=float, default=SECONDS_A_RUN, help="a hostile run goes on (60)")
    parser.add_argument("--short", action="store_true", help="as little as shows that it works")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the figures there, too")
    given = parser.parse_args()
    if given.short:
        given.pipelines, given.phases, given.seconds = SHORT
    described = machine()
    with running(rate_limit=None) as stack:
        calm = work(stack, "calm", given)
        with attack(stack, seconds=given.seconds) as did:
            beside = work(stack, "beside", given)
        wrong = [*calm.wrong, *beside.wrong, *did.wrong, *open_runs()]
    wrong += grown(calm, beside)
    figures = compare(calm, beside)
    print("  ".join(f"{name} {value}" for name, value in described.items()))
    print(as_table(figures))
    print(f"\nthe hostile agent's {len(did.ends)} runs asked:")
    for line in sorted(f"  {what}: {times} times" for what, times in did.came.items()):
        print(line)
    print("they ended:", *(f"  {end}" for end in did.ends), sep="\n")
    if given.json:
        write_json(given.json, described, figures)
    for line in wrong:
        print(f"VIOLATION: {line}")
    print(f"{len(wrong)} violations" if wrong else "no violation")
    return 1 if wrong else 0


class Pass:
    """What was seen while the pipelines did their work."""

    def __init__(self) -> None:
        self.late: list[float] = []
        self.closing: list[float] = []
        self.memory: dict[str, list[float]] = {}
        self.seconds = 0.0
        self.wrong: list[str] = []


class Attack:
    """What a hostile agent did, and how its runs ended."""

    def __init__(self) -> None:
        self.came: Counter[str] = Counter()
        self.ends: list[str] = []
        self.wrong: list[str] = []


def work(stack: Stack, name: str, given: argparse.Namespace) -> Pass:
    """Have all pipelines do their work, and watch the memory of the stack meanwhile."""
    found, board = Pass(), stack.home / f"{name}.board"
    began = time.monotonic()
    names = [
        submit(stack, neighbour(stack, f"{name}-{at}", board, phases=given.phases))
        for at in range(given.pipelines)
    ]
    while not all(status(each) in ENDED for each in names):
        for what, megabytes in memory(stack):
            found.memory.setdefault(what, []).append(megabytes)
        if time.monotonic() - began > LONGEST_SECONDS:
            break
        time.sleep(LOOK_AGAIN_SECONDS)
    found.seconds = time.monotonic() - began
    found.wrong = [f"{each} is {end}" for each in names if (end := status(each)) != "complete"]
    found.late = [float(line) for line in board.read_text().split()] if board.exists() else []
    found.closing = [took for each in names for took in engine_chain.moments(each)[0]]
    return found


def neighbour(stack: Stack, name: str, board: Path, *, phases: int) -> dict[str, object]:
    """A pipeline of two who talk, phase after phase."""
    made = document(stack, name, PLAYER, roles=0, phases=phases)
    program = str(Path(__file__).with_name("hostile_neighbour.py"))
    roles = ("talker", "listener")
    made["agents"] = {
        role: {
            "backend": "command",
            "command": [*PLAYER, program, role],
            "environment": {"HOSTILE": str(board)},
        }
        for role in roles
    }
    made["phases"] = [
        {"name": f"phase{at}", "roles": [{"role": each} for each in roles]} for at in range(phases)
    ]
    return made


@contextmanager
def attack(stack: Stack, *, seconds: float) -> Iterator[Attack]:
    """Have a hostile agent at work while the context lasts, started again whenever a person may do so."""
    did, board, over = Attack(), stack.home / f"{HOSTILE}.board", threading.Event()
    program = str(Path(__file__).with_name("hostile_agent.py"))
    board.mkdir()
    # Its READY is as good as another's: there is always a next phase to spoil.
    made = document(stack, HOSTILE, (*PLAYER, program), roles=1, phases=MOST_PHASES)
    settings = {"HOSTILE": str(board), "HOSTILE_SECONDS": str(seconds)}
    made["agents"] = {
        "program": {"backend": "command", "command": [*PLAYER, program], "environment": settings}
    }
    submit(stack, made)
    person = threading.Thread(target=insist, args=(stack, over))
    person.start()
    try:
        yield did
    finally:
        over.set()
        person.join()
    if status(HOSTILE) not in ENDED:
        client(stack).post(f"/pipelines/{HOSTILE}/cancel", repeatable=True)
    try:
        wait(lambda: not open_runs(), seconds=CLOSED_SECONDS, why="the end of all hostile runs")
    except AssertionError as error:
        did.wrong.append(str(error))
    for note in board.iterdir():
        did.came.update(json.loads(note.read_text()))
    tell_ends(did)


def tell_ends(did: Attack) -> None:
    """Add how each run of the hostile agent ended, in the words of its last event."""
    with unit_of_work() as session:
        runs = select(AgentRun).where(AgentRun.pipeline_id == HOSTILE).order_by(AgentRun.created_at)
        for run in session.scalars(runs):
            told = select(Event.text).where(Event.pipeline_id == HOSTILE, Event.agent_run_id == run.id)
            sentence = session.scalars(told.order_by(Event.id.desc())).first() or ""
            did.ends.append(f"{run.status}, {run.failure or 'no failure'}: {sentence[:160]}")
            if not sentence:
                did.wrong.append(f"run {run.id} of the hostile agent ended without a sentence")


def insist(stack: Stack, over: threading.Event) -> None:
    """Answer every question about the hostile agent with Retry, as a patient person would."""
    asking = select(Decision).where(
        Decision.pipeline_id == HOSTILE, Decision.status == DecisionStatus.PENDING
    )
    while not over.wait(LOOK_AGAIN_SECONDS):
        try:
            with unit_of_work() as session:
                questions = [(each.id, tuple(each.options)) for each in session.scalars(asking)]
            for number, options in questions:
                answer = next((option for option in options if option.startswith("Retry")), options[0])
                client(stack).post(f"/pipelines/{HOSTILE}/decisions/{number}/resolve", {"resolution": answer})
        except EggError as error:
            print(f"not answered yet: {error.message}", file=sys.stderr)


def status(name: str) -> str:
    """How a pipeline fares, as its row says."""
    with unit_of_work() as session:
        return str(session.scalars(select(Pipeline.status).where(Pipeline.id == name)).one())


def open_runs() -> list[str]:
    """The runs whose process or work is not known to be at rest."""
    with unit_of_work() as session:
        count = session.scalars(select(func.count()).where(AgentRun.closed_at.is_(None))).one()
    return [f"{count} runs are still open"] if count else []


def memory(stack: Stack) -> Iterator[tuple[str, float]]:
    """Each process of ours with its megabytes; database, broker and agents are not among them."""
    for pid in usage.descendants(stack.manifest.supervisor_pid):
        line = usage.command(pid)
        if "shim.py" in line or not (megabytes := usage.resident(pid)):
            continue
        kinds = {"uvicorn": "API", "egg_tasks.reconciler": "reconciler", "agents@": "agents worker"}
        kinds |= {"control@": "control worker", "stack.supervisor": "supervisor", "valkey": "Valkey"}
        kind = next((name for word, name in kinds.items() if word in line), None)
        if kind:
            yield kind, megabytes


def grown(calm: Pass, beside: Pass) -> list[str]:
    """Which processes needed more memory beside the hostile agent than may be."""
    most = {kind: max(megabytes) for kind, megabytes in calm.memory.items()}
    return [
        f"the {kind} grew from {most[kind]:.0f} to {max(megabytes):.0f} MB"
        for kind, megabytes in beside.memory.items()
        if kind in most and max(megabytes) > most[kind] + GROWN_MEGABYTES
    ]


def compare(calm: Pass, beside: Pass) -> list[Figure]:
    """Both passes, side by side."""
    figures = [
        Figure("the whole work", "all pipelines complete after", beside.seconds, "s", "alone", calm.seconds)
    ]
    for what, ours, alone in (
        ("from send to the waiting reader", beside.late, calm.late),
        ("from the last READY to the phase closing", beside.closing, calm.closing),
    ):
        figures += [
            Figure(
                what,
                f"p{share} of {len(ours)} (aim: {AIM:g} x)",
                quantile(ours, share / 100),
                "ms",
                "alone",
                quantile(alone, share / 100),
            )
            for share in (50, 99)
            if ours and alone
        ]
    for kind, megabytes in sorted(beside.memory.items()):
        before = max(calm.memory.get(kind, (0.0,)))
        figures.append(Figure("most memory of", kind, max(megabytes), "MB", "alone", before))
    return figures


if __name__ == "__main__":
    sys.exit(main())
