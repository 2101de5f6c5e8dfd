"""How an agent run or a check came to its end, in words."""

import signal as signals

from models.consensus.snapshot import RunView
from models.consensus.treatments import TREATMENTS
from models.states import Failure

UNSTARTED = frozenset({Failure.STARTUP, Failure.SETUP, Failure.PROGRAM_MISSING, Failure.MISSING_CONFIG})
EXPLAINED = frozenset({Failure.DISK, Failure.OUT_OF_MEMORY})
"""What we say ourselves of them says it all."""
SHELLS_OWN = {126: "a program that cannot be run", 127: "a program that is not there"}
"""What a shell, and `env`, say with an exit code of their own."""
BY_SIGNAL = 128
"""A shell adds it to the number of the signal that ended its program."""
LAST_SIGNAL = 64
NO_MEMORY = "often because there was not enough memory"
CUT_SHORT = "was stopped with all others"
WROTE = "It wrote last: "


def how(
    *, failure: Failure | None, exit_code: int | None, signal: int | None, error: str, is_named: bool
) -> str:
    """How a process ended, without a subject: `exit code 1`; nothing where its class says it all.

    *is_named* says that its class was given by whoever stopped it or by its agent, not by its end.
    """
    if failure in UNSTARTED | EXPLAINED and error:
        return error
    said = f"; it said: {error}" if error else ""
    if is_named:
        return said.removeprefix("; ")
    if signal is not None:
        return f"killed by {_signal(signal)}{said}"
    if exit_code is not None:
        return f"exit code {exit_code}{_meant(exit_code)}{said}"
    return f"it, its worker or its machine was gone{said}"


def once(failure: Failure | None) -> str:
    """The predicate of a single run that ended so; without a class it has given no verdict."""
    treatment = TREATMENTS[failure or Failure.NO_VERDICT]
    return treatment.once or treatment.said


def sentence(said: str, number: int, how_it_ended: str) -> str:
    """What is said of a run, which one it is, and how it ended: `coder failed (run 1): exit code 1`."""
    return f"{said} (run {number})" + (f": {how_it_ended}" if how_it_ended else "")


def ended(run: RunView) -> str:
    """How a run ended badly, as a predicate of its role: `failed (run 1): exit code 1`."""
    if run.is_cut_short:
        return sentence(CUT_SHORT, run.number, run.how)
    return sentence(once(run.failure), run.number, run.how)


def joined(*sentences: str) -> str:
    """Sentences one after the other, each with its full stop; empty ones are left out."""
    return " ".join(each if each.endswith((".", "?")) else f"{each}." for each in sentences if each)


def with_last(said: str, last_line: str) -> str:
    """What is said of a run, and behind it, where nothing of ours follows, the last line it wrote."""
    return f"{joined(said)} {WROTE}{last_line}" if last_line else said


def _meant(exit_code: int) -> str:
    """What an exit code says by convention, in brackets."""
    if exit_code in SHELLS_OWN:
        return f" (as shells say it: it called {SHELLS_OWN[exit_code]})"
    if BY_SIGNAL < exit_code <= BY_SIGNAL + LAST_SIGNAL:
        return f" (as shells say it: a program of it was killed by {_signal(exit_code - BY_SIGNAL)})"
    return ""


def _signal(number: int) -> str:
    try:
        name = f" ({signals.Signals(number).name})"
    except ValueError:
        name = ""
    hint = f", {NO_MEMORY}" if number == signals.SIGKILL else ""
    return f"signal {number}{name}{hint}"
