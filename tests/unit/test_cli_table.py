"""What a list and a record look like: nothing is cut, whatever the width."""

import re
from collections.abc import Sequence

import pytest
from rich.console import Console

from cli import outline, table
from cli.commands import agent, decision, phase, pipeline, result
from cli.render import Columns, cell
from models.foreign import flat
from tests.unit.cli_samples import DECISION, PHASES, PIPELINE

LONG = "a-name-that-is-as-long-as-a-name-may-be-" + "x" * 24
RUN = {
    "run": "0b1c2d3e-4f50",
    "phase": "implement",
    "iteration": 12,
    "role": "reviewer_of_everything_there_is",
    "number": 3,
    "status": "timed_out",
    "verdict": "OBJECTING",
    "causes": ["objection tester 1", "message 17", "stale coder 2"],
    "failure": "process_failure",
    "error": "ended with exit code 1, and its last line was: No module named pytest, in any of its paths",
    "node": "a-machine.example.org",
    "started_at": "2026-11-21T07:30:00+00:00",
    "ended_at": None,
}
RESULT = {
    "phase": "implement",
    "iteration": 1,
    "role": "vas",
    "parse_status": "invalid",
    "stands": False,
    "fields": {"status": "partial", "summary": "the whole of it " * 9},
    "faults": ["coverage: is no percentage"],
}
LISTS = {
    "pipeline": (pipeline.COLUMNS, {**PIPELINE, "id": LONG, "repo": "/home/somebody/projects/" + "y" * 70}),
    "agent": (agent.COLUMNS, RUN),
    "phase": (phase.COLUMNS, PHASES[1]),
    "decision": (decision.COLUMNS, DECISION),
    "result": (result.COLUMNS, RESULT),
}


def drawn(titles: Sequence[str], rows: table.Rows, width: int) -> list[str]:
    return [line.plain for line in table.drawn(titles, rows, Console(width=width))]


def shown(columns: Columns, item: dict[str, object]) -> list[str]:
    return [flat(cell(item, show)) for show in columns.values()]


@pytest.mark.parametrize("width", [40, 80, 100, 300])
@pytest.mark.parametrize("name", LISTS)
def test_a_table_loses_no_column_and_cuts_no_word(name: str, width: int) -> None:
    columns, item = LISTS[name]
    cells = shown(columns, item)

    lines = drawn(list(columns), [cells], width)

    letters = re.sub(r"\s", "", "".join(sorted("".join(lines))))
    wanted = "".join(sorted(re.sub(r"\s", "", "".join(cells))))
    assert not set(wanted) - set(letters)
    assert all(letters.count(each) >= wanted.count(each) for each in set(wanted))
    assert max(map(len, lines)) <= max(width, len(cells[0]))
    assert "".join(lines[1:]).startswith(cells[0])
    for title, text in zip(columns, cells, strict=True):
        assert not text or title in lines[0] or f"{title.lower()}:" in " ".join(lines)


def test_what_is_typed_is_never_broken_however_long_it_is() -> None:
    lines = drawn(["ID", "STATUS"], [[LONG, "running"]], 40)

    assert lines == ["ID  STATUS", LONG, "    running"]


def test_one_long_name_takes_no_room_from_the_others() -> None:
    rows = [["demo-1", "running", "x" * 50], [LONG, "failed", "y"]]

    assert drawn(["ID", "STATUS", "REPO"], rows, 80) == [
        "ID      STATUS   REPO",
        "demo-1  running  " + "x" * 50,
        LONG,
        "        failed   y",
    ]


def test_a_cell_that_is_too_long_goes_on_below_itself() -> None:
    lines = drawn(["ID", "QUESTION", "N"], [["7", "What now, since neither of them agrees?", "3"]], 36)

    assert lines == [
        "ID  QUESTION                       N",
        "7   What now, since neither of     3",
        "    them agrees?",
    ]


def test_every_line_in_a_pipe_is_one_thing_whose_columns_awk_finds() -> None:
    rows = [[flat(text) for text in row] for row in (["a", "two  words\nhere", "漢字"], ["longer", "", "x"])]

    lines = table.lines(rows)

    assert [re.split(" {2,}", line) for line in lines] == [
        ["a", "two words here", "漢字"],
        ["longer", "-", "x"],
    ]


def test_a_record_is_shown_without_json_and_without_a_line_of_others_that_looks_like_ours() -> None:
    record = {
        "id": "demo-1",
        "why": None,
        "prompt": "one\nid  forged\n\x1b[2J",
        "phases": [{"name": "plan", "roles": ["a", "b"]}, {"name": "pr", "roles": []}],
        "said": ["one", "two\nthree"],
        "counts": {"PROGRESS": 3},
        "nothing": {},
    }

    assert list(outline.lines(record)) == [
        "id       demo-1",
        "why      -",
        "prompt",
        "    one",
        "    id  forged",
        "    \\x1b[2J",
        "phases",
        "  - name   plan",
        "    roles  a, b",
        "  - name   pr",
        "    roles  -",
        "said",
        "  - one",
        "  - two",
        "    three",
        "counts",
        "  PROGRESS  3",
        "nothing  -",
    ]
