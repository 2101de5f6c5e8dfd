"""Odd bytes anywhere, output that goes nowhere: a sentence and the right exit code, as one types it."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from egg_tasks.async_client import AsyncClient, Wanted
from egg_tasks.client import Client, Json
from models.errors import Malformed, Unauthenticated
from tests.unit.scripted_server import serving
from tests.unit.test_cli_agent_commands import MESSAGE, clone, git

__all__ = ["clone"]

EGG = Path(sys.executable).parent / "egg"
LATIN_1 = "café".encode("latin-1")
SEND = ("message", "send", "--type", "PROGRESS", "--body")
GIVEN = Mapping[str | bytes, str | bytes]


def typed(
    *words: str | bytes, stdin: bytes = b"", more: GIVEN | None = None, to: str | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Type a command as an agent does."""
    environment: Any = {
        "PATH": os.environ["PATH"],
        "EGG_SESSION_TOKEN": "secret",
        "EGG_PIPELINE_ID": "demo-1",
        "EGG_ORCHESTRATOR_URL": "http://127.0.0.1:1",
        **(more or {}),
    }
    stdout = os.open(to, os.O_WRONLY) if to else subprocess.PIPE
    try:
        return subprocess.run(
            [EGG, *words], env=environment, input=stdin, stdout=stdout, stderr=subprocess.PIPE, check=False
        )
    finally:
        if to:
            os.close(stdout)


@pytest.mark.parametrize(
    "words", [(*SEND, "-"), ("result", "submit", "-"), ("decision", "ask", "--question", "-")]
)
def test_a_text_that_is_no_utf_8_is_refused_with_its_place(words: tuple[str, ...]) -> None:
    done = typed(*words, stdin=b"a line\n" + LATIN_1)

    assert done.returncode == 1
    assert done.stderr.startswith(b"error: standard input is no UTF-8 text: byte 11 is 0xe9; convert it")
    assert done.stderr.count(b"\n") == 1


def test_an_input_without_an_end_is_refused_and_not_kept() -> None:
    with open("/dev/zero", "rb") as zeros:  # noqa: PTH123
        done = subprocess.run(
            [EGG, *SEND, "-", "p"],
            env={"PATH": os.environ["PATH"], "EGG_SESSION_TOKEN": "x"},
            stdin=zeros,
            capture_output=True,
            check=False,
        )

    assert (done.returncode, b"longer than 16 MiB" in done.stderr) == (1, True)


@pytest.mark.parametrize("words", [("schema",), ("--help",), ("message", "poll", "--help"), ("--version",)])
def test_output_to_a_full_disk_is_a_sentence(words: tuple[str, ...]) -> None:
    done = typed(*words, to="/dev/full")

    assert done.returncode == 1
    assert done.stderr == (
        b"error: standard output cannot be written (No space left on device): what was printed is not whole\n"
    )


@pytest.mark.parametrize("command", ["schema", "--help"])
def test_a_reader_that_leaves_early_hears_no_complaint(command: str, tmp_path: Path) -> None:
    one = f"{EGG} {command} 2>>{tmp_path}/err"
    script = f"{one} | true; {one} | head -c 1 >/dev/null"

    subprocess.run(["bash", "-c", script], env={"PATH": os.environ["PATH"]}, check=True)

    assert "bug" not in (tmp_path / "err").read_text()
    assert "Traceback" not in (tmp_path / "err").read_text()
    assert "Exception ignored" not in (tmp_path / "err").read_text()


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_stream_that_is_closed_is_no_fault_of_eggs(closed: str) -> None:
    done = subprocess.run(
        ["bash", "-c", f"{EGG} message send --type PROGRESS --body - p {closed}"],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        check=False,
    )

    assert (done.returncode, b"bug" in done.stderr) == (1, False)


@pytest.mark.parametrize(
    "locale", [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}]
)
def test_what_an_encoding_cannot_show_is_still_json(locale: Mapping[str | bytes, str | bytes]) -> None:
    body = "naïve … \N{ROCKET} \udce9"
    with serving() as server:
        page = {"messages": [{**MESSAGE, "body": body}], "next_since_id": 12, "has_more": False}
        server.say(200, "", data=page)
        more = {"EGG_ORCHESTRATOR_URL": server.url, **locale}
        found = typed("message", "poll", "--json", more=more)
        text = typed("message", "poll", more=more)

    assert json.loads(found.stdout)["messages"][0]["body"] == body
    assert (text.returncode, text.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("words", "more"),
    [
        ((*SEND, LATIN_1), {}),
        (("message", "poll", LATIN_1), {}),
        (("message", "poll"), {b"EGG_PIPELINE_ID": LATIN_1}),
        (("signal", "readiness", "--state", LATIN_1), {}),
        (("agent", "get", LATIN_1, LATIN_1), {}),
        ((LATIN_1,), {}),
        (("message", "poll"), {b"EGG_SESSION_TOKEN": LATIN_1}),
        (("message", "poll"), {"EGG_SESSION_TOKEN": "two\nlines"}),
        (("message", "poll"), {b"EGG_ORCHESTRATOR_URL": b"http://" + LATIN_1}),
        (("message", "poll"), {"EGG_ORCHESTRATOR_URL": "http://host:port"}),
        (("message", "poll"), {"EGG_ORCHESTRATOR_URL": "http://[::1"}),
        (("message", "poll"), {"EGG_ORCHESTRATOR_URL": f"http://{'a' * 70}.b"}),
        (("doctor",), {b"EGG_HOME": b"/tmp/" + LATIN_1}),
        (("validate", LATIN_1), {}),
        (("result", "submit", "[" * 100_000), {}),
        ((*SEND, "x", "--metadata", "[" * 100_000), {}),
    ],
)
def test_odd_bytes_are_a_sentence(words: tuple[str | bytes, ...], more: GIVEN) -> None:
    with serving() as server:
        server.say(400, "pipeline ids are made of letters")
        done = typed(*words, more={"EGG_ORCHESTRATOR_URL": server.url, "EGG_OPERATOR_TOKEN": "o", **more})

    assert done.returncode in {1, 2}
    assert done.stderr.strip()
    assert b"bug in egg" not in done.stderr + done.stdout
    assert b"Traceback" not in done.stderr


def test_a_conflict_in_a_file_with_an_odd_name_is_named_whole(clone: Path) -> None:
    names = [b"caf\xe9 \n.txt", b"a b.txt", "ü.txt".encode()]
    origin = clone.parent / "origin"
    for directory, text in ((origin, "theirs\n"), (clone, "ours\n")):
        for name in names:
            with open(os.fsencode(directory) + b"/" + name, "w", encoding="utf-8") as file:  # noqa: PTH123
                file.write(text)
        git(directory, "add", ".")
        git(directory, "commit", "--quiet", "--message=odd")

    done = typed("sync", more={"EGG_REPO_PATH": str(clone), "HOME": str(clone)})

    assert done.returncode == 1
    assert rb"conflicts in a b.txt, caf\xe9 \n.txt, " in done.stderr
    assert "ü.txt: resolve them".encode() in done.stderr


def test_no_proxy_is_asked_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)

    async def ask(url: str) -> Json:
        async with AsyncClient(url, "secret", patience=0) as client:
            return await client.poll("demo-1", Wanted())

    with serving() as server:
        server.say(200, "", data={"messages": []})
        found = asyncio.run(ask(server.url)), asyncio.run(ask(server.url.replace("127.0.0.1", "localhost")))
        Client(server.url, "secret", patience=0).poll("demo-1", Wanted())

    assert [answer["messages"] for answer in found] == [[], []]
    assert len(server.asked) == 3


@pytest.mark.parametrize(
    ("url", "token", "error"), [("http://h:x", "t", Malformed), ("http://h", "ü", Unauthenticated)]
)
def test_both_clients_refuse_what_no_request_could_carry(
    url: str, token: str, error: type[Exception]
) -> None:
    for client in (Client, AsyncClient):
        with pytest.raises(error):
            client(url, token)
