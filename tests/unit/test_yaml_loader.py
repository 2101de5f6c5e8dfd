"""YAML that a stranger wrote is read in bounded time and memory, or refused with its line."""

import json
import tracemalloc
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.definition_file import FaultyFile, load
from cli.yaml_loader import MAX_BYTES, MAX_NODES

MERGES = "a0: &a0 {k: v}\n" + "".join(
    f"a{n}: &a{n}\n  <<: [{', '.join([f'*a{n - 1}'] * 8)}]\n" for n in range(1, 60)
)
"""Every level merges the one before eight times: 8^59 pairs to look at."""
LISTS = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 8)}]\n" for n in range(1, 60))
CHAIN = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 3000))
PIECES = [
    "a",
    "b",
    ": ",
    "- ",
    "\n",
    "  ",
    "&a ",
    "*a",
    "<<: ",
    "[",
    "]",
    "{",
    "}",
    ", ",
    "? ",
    "|\n",
    "!!int ",
    "'",
]
"""What YAML is made of, so that most of what is made of it goes deep into the reader."""


def refusal(directory: Path, text: str, name: str = "work.yaml") -> str:
    path = directory / name
    path.write_text(text, encoding="utf-8")
    with pytest.raises(FaultyFile) as caught:
        load(path)
    (line,) = caught.value.lines
    return line.removeprefix(f"{directory}/")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (MERGES, "work.yaml:11:7: holds more than 20000 values, with what its aliases repeat"),
        (LISTS, "work.yaml:6:5: holds more than 20000 values, with what its aliases repeat"),
        (CHAIN, "work.yaml:100:6: is nested too deeply"),
        ("- a\n" * (MAX_NODES + 1), "work.yaml:20000:3: holds more than 20000 values"),
        ("a:\n" + " - [" * 2000, "work.yaml:2:"),
        ("a: 1\nb: " + "1:" * 2000 + "1\n", "work.yaml:2:4: a number has at most 100 characters"),
        ("a: " + "1" * 5000, "work.yaml:1:4: a number has at most 100 characters"),
        (
            f"a: &a {'x' * 100_000}\nb: [{'*a, ' * 11}]\n",
            "work.yaml:2:4: holds more than 1 MiB, with what its",
        ),
        ("a: !!binary aGVsbG8=\n", "work.yaml:1:4: only plain values are read here, no '!!binary'"),
        ("a: !!set {b}\n", "work.yaml:1:4: only plain values are read here, no '!!set'"),
        ("a: !mine b\n", "work.yaml:1:4: only plain values are read here, no '!mine'"),
        ("a: &a\n  <<: *a\n", "work.yaml:2:7: this alias stands within what it names"),
    ],
)
def test_what_would_grow_without_bound_is_refused_where_it_stands(
    tmp_path: Path, text: str, line: str
) -> None:
    assert refusal(tmp_path, text).startswith(line)


def test_a_file_is_read_to_its_limit_and_no_further(tmp_path: Path) -> None:
    assert refusal(tmp_path, "#" * (MAX_BYTES + 1)) == "work.yaml: is larger than 1 MiB"
    assert refusal(tmp_path, " " * (MAX_BYTES + 1), "work.json") == "work.json: is larger than 1 MiB"
    with pytest.raises(FaultyFile, match="nothing was stored"):
        load(Path("/dev/zero"))


@pytest.mark.parametrize("text", [MERGES, LISTS, "- [a, b]\n" * 200_000], ids=["merges", "lists", "items"])
def test_a_bomb_takes_no_more_memory_than_its_file_may_have(tmp_path: Path, text: str) -> None:
    text = text[:MAX_BYTES]
    tracemalloc.start()
    refusal(tmp_path, text)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert most < 64 * MAX_BYTES


def test_merged_keys_and_aliases_of_honest_files_are_read(tmp_path: Path) -> None:
    path = tmp_path / "work.yaml"
    path.write_text("a: &a {backend: command}\nb: {<<: *a, command: [x]}\nc: [*a, *a]\n")

    document = load(path).document

    assert document == {
        "a": {"backend": "command"},
        "b": {"backend": "command", "command": ["x"]},
        "c": [{"backend": "command"}] * 2,
    }


@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=80).map("".join))
def test_whatever_a_file_holds_is_a_document_or_a_refusal(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzzed.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))

    # Any other error would come out here.
    with suppress(FaultyFile):
        document = load(path).document
        assert len(json.dumps(document, default=str, skipkeys=True)) < 64 * MAX_BYTES
