"""What every `Backend` promises, whatever the program that it starts and understands.

A backend joins by one line in `AGENTS`, an agent of its own whose program is here, and by what its program
writes when it ends well, in `ENDED_WELL`.
"""

import dataclasses
import subprocess
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from egg_tasks import adapters, run_places
from egg_tasks.attending.run_output import RunOutput
from egg_tasks.ports import Backend, ProgramOutput
from egg_tasks.runners.process import ProcessRunner
from models.errors import Unprocessable
from models.schemas import definition
from models.schemas.definition import Agent, CommandAgent
from models.schemas.layout import Layout
from models.schemas.run import Command, Exit, Report
from tests.fakes import Written
from tests.integration.runner_scene import end, end_all, launch

AGENTS: Mapping[str, Agent] = {
    "command": CommandAgent(backend="command", command=("sh", "-c", "cat; pwd; echo $1", "sh", "{prompt}")),
}
ENDED_WELL: Mapping[str, bytes] = {
    "command": b"done\n",
}

PROMPT = "# You are coder\n\n$(id) `id` {branch} %s \\ \u202e\n" * 400
"""Long, and full of what a shell or a template would read."""
OF_OURS = ("EGG_", "GIT_", "PATH", "HOME", "TMPDIR", "LANG")
"""Variables that launches have, and no backend."""

BAD_ENDS = [
    Exit(exit_code=1),
    Exit(exit_code=255),
    Exit(signal=9),
    Exit(signal=11),
    Exit(signal=15, stopped=True),
    Exit(error="no such program", is_missing=True),
    Exit(),
]
OUTPUTS = {
    "nothing": b"",
    "no UTF-8": b"\xff\xfe\x00\x80 done \xc3",
    "a line without an end": b"x" * 3_000_000,
    "a cut line of JSON": b'{"type": "result", "is_error": fal',
    "JSON that goes deep": b"[" * 100_000,
    "lines of JSON of no known kind": b'{"type": "new"}\n[]\n3\nnull\n"x"\n{}\n' * 1000,
    "another's end": b'{"type":"result","subtype":"success","is_error":false,"result":"fine"}\n',
    "terminal sequences": b"\x1b[2J\x1b]0;title\x07\r\n",
}


@dataclasses.dataclass(frozen=True)
class Subject:
    """A backend, with an agent of its own and where a run of it would be."""

    name: str
    backend: Backend
    agent: Agent
    layout: Layout

    def command(self, prompt: str = PROMPT) -> Command:
        """What it would have executed."""
        return self.backend.start(self.agent, prompt=prompt, layout=self.layout)


@pytest.fixture(params=adapters.BACKENDS)
def subject(request: pytest.FixtureRequest, tmp_path: Path) -> Subject:
    ours = run_places.layout(tmp_path / "ours/runs" / str(uuid4()), directory=None, tools=tmp_path / "bin")
    within = tmp_path / "inside"
    (within / "clone").mkdir(parents=True)
    inside = dataclasses.replace(
        ours.inside, directory=within / "clone", prompt=within / "prompt.md", signal=within / "signal"
    )
    return Subject(
        request.param,
        adapters.backend(request.param),
        AGENTS[request.param],
        dataclasses.replace(ours, inside=inside),
    )


def test_every_backend_that_is_built_passes_the_contract_and_can_be_asked_for() -> None:
    assert adapters.BACKENDS.keys() == definition.AGENTS.keys() == AGENTS.keys() == ENDED_WELL.keys()


def test_a_backend_that_is_not_built_is_refused_and_the_way_out_is_named() -> None:
    with pytest.raises(Unprocessable, match=r"backend 'claude' cannot be started here.*`backend: command`"):
        adapters.backend("claude")


def test_the_same_run_is_started_alike_however_often_it_is_tried(subject: Subject) -> None:
    assert subject.command() == subject.command()


def test_the_prompt_is_read_from_standard_input_and_is_no_argument(subject: Subject) -> None:
    command = subject.command()

    assert command.stdin == PROMPT
    assert not [word for word in command.argv if "You are coder" in word]


def test_a_command_can_be_executed_and_what_it_reads_has_an_end(subject: Subject) -> None:
    command = subject.command()

    ended = subprocess.run(
        command.argv,
        input=command.stdin.encode(),
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", **command.environment},
        cwd=subject.layout.inside.directory,
        capture_output=True,
        check=True,
        timeout=30,
    )
    understood = subject.backend.understand(Exit(exit_code=ended.returncode), Written(ended.stdout))

    assert understood.failure is None
    assert "You are coder" in understood.written


def test_only_what_the_agent_finds_itself_is_named_to_it(subject: Subject) -> None:
    command = subject.command()

    ours = {str(path) for path in vars(subject.layout).values() if isinstance(path, Path)}
    words = (*command.argv, *command.environment, *command.environment.values())
    assert not [word for word in words if any(path in word for path in ours)]


def test_variables_that_every_agent_has_are_left_to_the_launch(subject: Subject) -> None:
    assert not [name for name in subject.command().environment if name.startswith(OF_OURS)]


def test_a_clean_end_is_no_failure(subject: Subject) -> None:
    assert understood(subject, Exit(exit_code=0), ENDED_WELL[subject.name]).failure is None


@pytest.mark.parametrize("ended", BAD_ENDS, ids=repr)
def test_who_did_not_end_with_exit_code_0_has_failed_whatever_it_says(subject: Subject, ended: Exit) -> None:
    assert understood(subject, ended, ENDED_WELL[subject.name]).failure is not None


@pytest.mark.parametrize("ended", [Exit(exit_code=0), Exit(exit_code=1)], ids=["well", "badly"])
@pytest.mark.parametrize("content", OUTPUTS.values(), ids=OUTPUTS.keys())
def test_no_output_is_an_error_and_what_is_kept_of_it_is_bounded(
    subject: Subject, content: bytes, ended: Exit
) -> None:
    found = understood(subject, ended, content)

    assert len(found.written) <= 128 * 1024
    found.written.encode()


def test_an_output_of_any_length_is_read_without_holding_it_all(subject: Subject) -> None:
    reading = Counted(ENDED_WELL[subject.name])

    subject.backend.understand(Exit(exit_code=0), reading)

    assert max(reading.asked) <= 1024 * 1024


@pytest.mark.parametrize("size", [0, 1, 9, 10, 11, 1000])
@pytest.mark.parametrize("make", ["kept", "run"])
def test_the_end_of_an_output_is_its_last_bytes(size: int, make: str, tmp_path: Path) -> None:
    """For the fake, and for the output of a run as its runner has it."""
    content = bytes(97 + number % 26 for number in range(size))
    output = OUTPUTS_OF[make](content, tmp_path)

    assert output.end(10) == content[-10:]


class Counted:
    """An output that notes how much was asked for at a time."""

    def __init__(self, content: bytes) -> None:
        self.written = Written(content)
        self.asked = [0]

    def end(self, most: int) -> bytes:
        """Its last *most* bytes."""
        self.asked.append(most)
        return self.written.end(most)


def understood(subject: Subject, ended: Exit, content: bytes) -> Report:
    """What the backend makes of an end and an output."""
    return subject.backend.understand(ended, Written(content))


def of_a_run(content: bytes, home: Path) -> ProgramOutput:
    """The output of a real run that wrote so much."""
    (home / "content").write_bytes(content)
    runner = ProcessRunner(home / run_places.RUNS)
    run = launch(f"cat {home}/content")
    runner.ensure(run)
    end(runner, run.run_id)
    end_all(runner)
    assert runner.wait(run.run_id, timeout=timedelta(0))
    return RunOutput(runner, run.run_id)


OUTPUTS_OF: Mapping[str, Callable[[bytes, Path], ProgramOutput]] = {
    "kept": lambda content, _: Written(content),
    "run": of_a_run,
}


@pytest.mark.parametrize(
    ("given", "executed"),
    [
        (["./lint.sh", "./a"], ("/c/lint.sh", "./a")),
        (["bin/lint"], ("/c/bin/lint",)),
        (["/usr/bin/make", "-k"], ("/usr/bin/make", "-k")),
        (["make", "test"], ("make", "test")),
    ],
)
def test_of_a_command_only_a_relative_path_is_of_the_clone(
    given: list[str], executed: tuple[str, ...], tmp_path: Path
) -> None:
    agent = CommandAgent(backend="command", command=tuple(given))
    layout = run_places.layout(tmp_path, directory=Path("/c"), tools=tmp_path)

    assert adapters.backend("command").start(agent, prompt="", layout=layout).argv == executed
