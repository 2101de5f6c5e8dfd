"""The `PHASE_RESULT:` block of an agent's output, however a model writes it."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.consensus.role_kinds import RoleKind
from models.schemas.result import read_output
from models.schemas.result_block import MAX_READ, fields_of, last_block

PLAIN = """\
PHASE_RESULT:
- phase: vas
- status: partial
- files_written: []
- summary: two tests fail
- issues: [limit 0 lets one through, no docs]
- test_pass_rate: 72%
- coverage: 81.5
- failed_tests:
  - test_zero
  - test_negative
- critical_issues: 1
- ready_for_production: no
"""
FIELDS = {
    "phase": "vas",
    "status": "partial",
    "files_written": [],
    "summary": "two tests fail",
    "issues": ["limit 0 lets one through", "no docs"],
    "test_pass_rate": 72.0,
    "coverage": 81.5,
    "failed_tests": ["test_zero", "test_negative"],
    "critical_issues": 1,
    "ready_for_production": False,
}
JSON = """\
PHASE_RESULT:
```json
{"phase": "vas", "status": "partial", "files_written": [], "summary": "two tests fail",
 "issues": ["limit 0 lets one through", "no docs"], "test_pass_rate": "72%", "coverage": 81.5,
 "failed_tests": ["test_zero", "test_negative"], "critical_issues": 1, "ready_for_production": false}
```
"""
BROKEN_JSON = """\
PHASE_RESULT: {
  "phase": "vas",
  "status": "partial",
  "files_written": [],
  "summary": "two tests fail",
  "issues": ["limit 0 lets one through", "no docs"],
  "test_pass_rate": "72%",
  "coverage": 81.5,
  "failed_tests": [
    "test_zero",
    "test_negative"
  ],
  "critical_issues": 1,
  "ready_for_production": false,
}
"""
BARE = PLAIN.replace("- phase", "phase").replace("\n- ", "\n")
BOLD = "\n".join(
    f"- **{key}**:{value}" if value else key
    for line in PLAIN.removeprefix("PHASE_RESULT:\n").splitlines()
    for key, _, value in [line.removeprefix("- ").partition(":")]
    if not line.startswith(("- failed", "  "))
)
FAILED_TESTS = "\n* **failed_tests:** `test_zero`, test_negative\n"


@pytest.mark.parametrize(
    "output",
    [
        PLAIN,
        f"I ran them.\n\n{PLAIN}\nThat is all.",
        PLAIN.replace("\n", "\r\n"),
        f"  {PLAIN}".replace("\n", "\n  "),
        f"> {PLAIN}".replace("\n", "\n> "),
        BARE,
        f"```\n{PLAIN}```\nstatus: not this one\n",
        PLAIN.replace("PHASE_RESULT:", "PHASE_RESULT:\n```yaml") + "```\nSummary: not this one\n",
        JSON,
        JSON.replace("```json\n", "").replace("```", ""),
        JSON.replace("PHASE_RESULT:\n```json\n", "PHASE_RESULT: "),
        BROKEN_JSON,
        f"**PHASE_RESULT:**\n{BOLD}{FAILED_TESTS}",
        f"## **PHASE_RESULT**:\n\n{BOLD}{FAILED_TESTS}",
        f"\x1b[1mPHASE_RESULT:\x1b[0m\n{BOLD}{FAILED_TESTS}",
        PLAIN.replace("files_written", "Files written").replace("test_pass_rate", "Test pass rate"),
        PLAIN.replace("[limit 0 lets one through, no docs]", '["limit 0 lets one through",\n  "no docs"]'),
        PLAIN.replace("two tests fail", "two\n  tests fail"),
        PLAIN.replace(": two tests", ": |\n  two tests"),
        "PHASE_RESULT:\n- status: success\n- summary: an earlier one\n\n" + PLAIN,
    ],
)
def test_a_block_is_read_however_it_is_written(output: str) -> None:
    reading = read_output(RoleKind.VALIDATOR, output)

    assert reading is not None
    assert (reading.faults, reading.fields) == ((), FIELDS)


def test_an_output_without_a_block_has_none() -> None:
    assert last_block("I wrote a PHASE_RESULT: no, I did not") is None


def test_the_block_is_kept_in_its_own_words() -> None:
    assert last_block(f"before\n{PLAIN}") == PLAIN


def test_a_block_that_is_no_result_names_what_is_wrong() -> None:
    reading = read_output(RoleKind.VALIDATOR, "PHASE_RESULT:\n- status: good\n- test_pass_rate: high\n")

    assert reading is not None
    assert {fault.path[0]: fault.message for fault in reading.faults} == {
        "status": "must be one of `success`, `partial` or `failed`, not 'good'",
        "test_pass_rate": "must be a percentage from 0 to 100, as 72, 72.5, `72%` or 36/50",
        "summary": "`summary` is missing",
        "coverage": "`coverage` is missing",
        "critical_issues": "`critical_issues` is missing",
        "ready_for_production": "`ready_for_production` is missing",
    }


def test_what_stands_first_counts() -> None:
    assert fields_of("PHASE_RESULT:\nstatus: success\nstatus: failed\n") == {"status": "success"}


def test_words_in_brackets_are_words() -> None:
    assert fields_of("PHASE_RESULT:\nsummary: [WIP] half done\n") == {"summary": "[WIP] half done"}


def test_a_block_that_lies_further_back_is_not_looked_for() -> None:
    assert last_block(PLAIN + "x" * MAX_READ) is None


def test_nul_and_half_characters_never_reach_the_database() -> None:
    reading = read_output(None, 'PHASE_RESULT: {"status": "success", "summary": "\\ud800 \\u0000"}')

    assert reading is not None
    assert reading.faults


MARKS = (
    "\n",
    "\r\n",
    "- ",
    "  ",
    ": ",
    "[",
    "]",
    "{",
    "}",
    '"',
    "**",
    "`",
    "```",
    "|",
    "1.",
    "> ",
    ",",
    "_",
    "#",
)
WORDS = ("PHASE_RESULT:", "status", "success", "summary", "72%", "a, b", "\x00", "\ud800", "nan", "1e999")
PIECES = st.sampled_from(MARKS + WORDS) | st.text(max_size=8)


@given(st.lists(PIECES, max_size=60).map("".join), st.sampled_from([RoleKind.VALIDATOR, None]))
def test_nothing_an_agent_writes_makes_it_fail(text: str, kind: RoleKind | None) -> None:
    reading = read_output(kind, f"PHASE_RESULT:{text}")

    assert reading is not None
    assert bool(reading.fields) is not bool(reading.faults)


LONG = (*MARKS, "PHASE_RESULT:", "PHASE_RESULT:\n", " ", "x", "a ", "a: [", "a: [\n", '{"a":', "a:\n")
LINES = ("a b c d: ", "k: [1,\n", "- a: [\n", "*`", "a-", "- x\n", '["', "a: {\n")


@pytest.mark.parametrize("piece", LONG + LINES)
def test_the_longest_output_is_read_at_once(piece: str) -> None:
    output = "PHASE_RESULT:" + piece * (4 * MAX_READ // len(piece))
    began = time.process_time()

    read_output(RoleKind.VALIDATOR, output)
    read_output(RoleKind.VALIDATOR, "PHASE_RESULT:" + output[: MAX_READ - 13])

    assert time.process_time() - began < 1
