"""Backend `command`: an agent that is any program, given as its argument list."""

from egg_tasks.ports import ProgramOutput
from models.schemas.definition import Agent
from models.schemas.layout import Layout
from models.schemas.run import Command, Exit, Report
from models.states import Failure

MOST_READ = 64 * 1024
"""So many bytes of the end of a run's output are kept or read for its result."""


class CommandBackend:
    """Any program: it reads its prompt if it likes, and says by its exit code how it ended."""

    def start(self, agent: Agent, *, prompt: str, layout: Layout) -> Command:
        """What to execute: a relative program with a slash is one of the clone's, any other is on PATH."""
        program, *arguments = agent.command
        found = str(layout.inside.directory / program) if "/" in program else program
        return Command(argv=(found, *arguments), stdin=prompt)

    def understand(self, ended: Exit, output: ProgramOutput) -> Report:
        """How it ended is all in its exit code; what it wrote stands as it is."""
        failure = None if ended.exit_code == 0 else Failure.PROCESS_FAILURE
        return Report(failure, output.end(MOST_READ).decode(errors="replace"))
