"""What agents type, against a real HTTP server that answers as it is told."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.unit.scripted_server import Scripted, serving

HEAVY = (
    "jinja2",
    "pydantic",
    "httpx",
    "rich",
    "celery",
    "kombu",
    "sqlalchemy",
    "yaml",
    "fastapi",
    "redis",
    "egg_tasks.config",
)

MESSAGE = {
    "id": 12,
    "from_role": "tester",
    "to_role": "coder",
    "message_type": "QUESTION",
    "subject": "zero?",
    "body": "first\nsecond",
    "in_reply_to": 9,
}

Egg = Callable[..., int]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scripted]:
    with serving() as script:
        monkeypatch.setenv("EGG_ORCHESTRATOR_URL", script.url)
        monkeypatch.setenv("EGG_SESSION_TOKEN", "secret")
        monkeypatch.setenv("EGG_PIPELINE_ID", "demo-1")
        yield script


def test_a_message_is_sent_with_a_key_of_its_own_and_its_id_is_printed(
    server: Scripted, egg: Egg, capsys: pytest.CaptureFixture[str]
) -> None:
    server.say(201, "sent", data={"message": MESSAGE})

    code = egg("message", "send", "--to", "coder", "--type", "question", "--subject", "zero?", "--body", "b")

    body = server.asked[0].body
    assert (code, capsys.readouterr().out) == (0, "12\n")
    assert len(body.pop("client_key")) == 32
    assert body == {"to_role": "coder", "message_type": "QUESTION", "subject": "zero?", "body": "b"}
    assert server.asked[0].path == "/api/v1/pipelines/demo-1/messages"
    assert server.asked[0].authorization == "Bearer secret"


@pytest.mark.parametrize(
    ("typed", "subject", "body"),
    [
        (["hi", "there"], "hi there", ""),
        (["demo-1", "hi"], "hi", ""),
        (["hi", "--body", "b"], "hi", "b"),
        (["hi", "--subject", "s"], "s", "hi"),
        (["two\nlines"], "", "two\nlines"),
        (["x" * 201], "", "x" * 201),
        (["demo-1", "--subject", "s"], "s", ""),
    ],
)
def test_the_text_of_a_message_may_be_typed_as_it_is(
    server: Scripted, egg: Egg, typed: list[str], subject: str, body: str
) -> None:
    server.say(201, "sent", data={"message": MESSAGE})

    assert egg("message", "send", "--type", "STATUS", *typed) == 0

    assert server.asked[0].path == "/api/v1/pipelines/demo-1/messages"
    assert (server.asked[0].body["subject"], server.asked[0].body["body"]) == (subject, body)


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["hi"], "Say what kind of message it is, with --type one of:\n  PROGRESS   what you have done"),
        (["--type", "foo", "hi"], "There is no message of type 'foo': give it, with --type one of:\n"),
        (["--type", "STATUS", "--subject", "s", "--body", "b", "hi"], "TEXT and --body are both the body"),
        (["--type", "STATUS", "--body", "b", "x" * 201], "TEXT and --body are both the body"),
    ],
)
def test_a_message_that_lacks_something_is_refused_with_what_it_may_be(
    egg: Egg, capsys: pytest.CaptureFixture[str], typed: list[str], said: str
) -> None:
    assert egg("message", "send", *typed) == 2

    assert said in capsys.readouterr().err


def test_a_person_names_the_pipeline_before_the_text(
    server: Scripted, egg: Egg, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.say(201, "sent", data={"message": MESSAGE})
    monkeypatch.delenv("EGG_PIPELINE_ID")

    egg("message", "send", "shop", "--type", "DIRECTIVE", "--to", "coder", "mend", "it")

    assert server.asked[0].path == "/api/v1/pipelines/shop/messages"
    assert server.asked[0].body["subject"] == "mend it"


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize(
    ("line", "spelled"),
    [
        ("signal readiness --state done", "'WORKING', 'READY', 'BLOCKED', 'OBJECTING'"),
        ("message poll --type talk", "'PROGRESS', 'QUESTION'"),
        ("pipeline list --status Gone", "'pending', 'running', 'awaiting_human'"),
        ("decision list --status Gone", "'pending', 'resolved'"),
    ],
)
def test_a_word_nobody_knows_is_refused_with_the_words_as_tables_spell_them(
    line: str, spelled: str, egg: Egg, capsys: pytest.CaptureFixture[str]
) -> None:
    assert egg(*line.split()) == 2

    assert spelled in capsys.readouterr().err


def test_polled_messages_begin_with_their_id_and_are_never_cut(
    server: Scripted, egg: Egg, capsys: pytest.CaptureFixture[str]
) -> None:
    long = {**MESSAGE, "id": 13, "body": "x" * 5000, "subject": "", "in_reply_to": None}
    server.say(200, "", data={"messages": [MESSAGE, long], "count": 2, "next_since_id": 13, "has_more": True})

    egg("message", "poll", "--since", "11", "--own", "--type", "question")

    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "12 QUESTION tester -> coder (re 9): zero?",
        "    first",
        "    second",
        "13 QUESTION tester -> coder",
        "    " + "x" * 5000,
    ]
    assert "--since 13" in err
    assert server.asked[0].path.endswith("/messages?since_id=11&type=QUESTION&include_own=true")


def test_what_an_agent_wrote_cannot_move_the_cursor(
    server: Scripted, egg: Egg, capsys: pytest.CaptureFixture[str]
) -> None:
    message = {**MESSAGE, "body": "\x1b[2Jgone"}
    server.say(200, "", data={"messages": [message], "count": 1, "next_since_id": 12, "has_more": False})

    egg("message", "poll")

    assert "\x1b" not in capsys.readouterr().out


def test_a_verdict_carries_its_answers_and_says_who_blocks(
    server: Scripted, egg: Egg, capsys: pytest.CaptureFixture[str]
) -> None:
    said = {"role": "coder", "state": "READY", "reason": "", "version": 2}
    consensus = {
        "is_complete": False,
        "lacking": [{"role": "tester", "why": "is WORKING"}, {"role": None, "why": "the check of c0ffee"}],
    }
    server.say(200, "", data={"readiness": said, "consensus": consensus})

    egg("signal", "readiness", "--state", "ready", "--answer", "3=as the spec says = fine")

    assert server.asked[0].body == {
        "signal_type": "readiness",
        "state": "READY",
        "reason": "",
        "answers": {"3": "as the spec says = fine"},
    }
    assert capsys.readouterr().out == (
        "coder is READY at version 2; no consensus yet: tester is WORKING; the check of c0ffee\n"
    )


def test_complete_is_refused_and_readiness_is_named(egg: Egg, capsys: pytest.CaptureFixture[str]) -> None:
    code = egg("signal", "complete", "--commit", "abc")

    assert code == 1
    assert "egg signal readiness" in capsys.readouterr().err


def test_a_refusal_is_one_line_and_exit_1(
    server: Scripted, egg: Egg, capsys: pytest.CaptureFixture[str]
) -> None:
    server.say(409, "run 4 of coder is over", details={"epoch": 7})

    code = egg("signal", "heartbeat")

    assert (code, capsys.readouterr().err) == (1, "error: run 4 of coder is over\n")


def test_a_role_that_is_said_is_sent_so_that_it_can_be_checked(server: Scripted, egg: Egg) -> None:
    server.say(200, "")

    egg("signal", "progress", "--percent", "40", "--message", "tests written", "--role", "coder")

    assert server.asked[0].body == {
        "signal_type": "progress",
        "reason": "tests written",
        "percent": 40,
        "role": "coder",
    }


@pytest.mark.parametrize(
    "arguments",
    [
        ("message", "send", "--type", "PROGRESS", "--metadata", "[1]"),
        ("message", "poll", "--limit", "0"),
        ("signal", "readiness", "--state", "DONE"),
        ("signal", "error"),
        ("signal", "error", "--kind", "lost"),
        ("signal", "readiness", "--state", "READY", "--answer", "no number"),
        ("nonsense",),
    ],
)
def test_wrong_usage_is_exit_2_and_asks_nobody(
    server: Scripted, egg: Egg, arguments: tuple[str, ...]
) -> None:
    code = egg(*arguments)

    assert code == 2
    assert server.asked == []


def git(directory: Path, *arguments: str) -> str:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(directory),
        **{
            f"GIT_{who}_{what}": "agent@egg.invalid"
            for who in ("AUTHOR", "COMMITTER")
            for what in ("NAME", "EMAIL")
        },
    }
    ran = subprocess.run(
        ["git", *arguments], cwd=directory, env=environment, check=True, capture_output=True, text=True
    )
    return ran.stdout.strip()


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An agent's clone, whose work branch holds a change of limits.py that the clone has not."""
    origin, mine = tmp_path / "origin", tmp_path / "mine"
    origin.mkdir()
    git(origin, "init", "--quiet", "--initial-branch=egg/demo-1/work")
    (origin / "limits.py").write_text("LIMIT = 1\n")
    git(origin, "add", ".")
    git(origin, "commit", "--quiet", "--message=begin")
    git(tmp_path, "clone", "--quiet", str(origin), str(mine))
    git(mine, "switch", "--quiet", "--create", "egg/demo-1/coder")
    git(mine, "config", "user.name", "coder")
    git(mine, "config", "user.email", "coder@egg.invalid")
    (origin / "limits.py").write_text("LIMIT = 2\n")
    git(origin, "commit", "--quiet", "--all", "--message=two")
    monkeypatch.setenv("EGG_REPO_PATH", str(mine))
    return mine


def test_sync_merges_the_work_branch_and_says_what_was_seen(
    server: Scripted, egg: Egg, clone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.say(200, "", data={"head": "abc", "seen": {"tester": 2}})

    code = egg("sync")

    assert (code, capsys.readouterr().out) == (0, "abc has seen tester version 2\n")
    assert (clone / "limits.py").read_text() == "LIMIT = 2\n"


def test_a_conflict_of_sync_names_the_paths_and_the_way_on(
    server: Scripted, egg: Egg, clone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (clone / "limits.py").write_text("LIMIT = 3\n")
    git(clone, "commit", "--quiet", "--all", "--message=three")

    code = egg("sync")

    error = capsys.readouterr().err
    assert code == 1
    assert "conflicts in limits.py" in error
    assert "`egg sync` again" in error
    assert server.asked == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("message", "send", "--type", "PROGRESS"),
        ("message", "poll"),
        ("message", "status"),
        ("signal", "readiness", "--state", "WORKING"),
        ("signal", "progress"),
        ("signal", "heartbeat"),
        ("signal", "error", "--kind", "quota", "--retry-at", "2026-11-21T12:00:00Z"),
        ("sync",),
        ("context",),
        ("result", "submit", "{}"),
        ("decision", "ask", "--question", "Which?"),
    ],
)
def test_an_agent_command_imports_nothing_heavy(
    server: Scripted, clone: Path, arguments: tuple[str, ...]
) -> None:
    server.say_to_all(ANSWER_TO_ALL)
    look = f"import sys; sys.argv[1:] = {list(arguments)!r}; from cli.main import run; code = run()"
    report = f"import json; print(json.dumps([code, [m for m in {HEAVY!r} if m in sys.modules]]))"

    ran = subprocess.run(
        [sys.executable, "-c", f"{look}; {report}"], capture_output=True, text=True, check=True, cwd=clone
    )

    assert json.loads(ran.stdout.splitlines()[-1]) == [0, []], ran.stderr


ANSWER_TO_ALL = {
    "message": MESSAGE,
    "messages": [MESSAGE],
    "next_since_id": 12,
    "has_more": False,
    "readiness": {"role": "coder", "state": "WORKING"},
    "consensus": {"is_complete": True, "blocking_agents": [], "has_objections": False},
    "head": "abc",
    "seen": {},
    "role": "coder",
    "fields": {"status": "success"},
    "context": {},
    "decision": {"id": 7, "default": None},
}


def test_ready_has_the_agents_git_look_where_it_turns_on_a_filter(
    server: Scripted, egg: Egg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (tmp_path / "file").write_text("x")
    subprocess.run(["git", "-C", str(tmp_path), "add", "."], check=True)
    monkeypatch.setenv("EGG_REPO_PATH", str(tmp_path))
    before = (tmp_path / ".git/index").stat().st_mtime_ns
    server.say(409, "uncommitted changes in file", details={"paths": ["file"], "filters": ["crypt"]})
    server.say(409, "uncommitted changes in file", details={"paths": ["file"], "filters": ["crypt"]})

    assert egg("signal", "readiness", "--state", "READY") == 1
    assert [asked.body["state"] for asked in server.asked] == ["READY", "READY"]
    assert (tmp_path / ".git/index").stat().st_mtime_ns > before


def test_what_an_agent_quotes_of_a_program_holds_no_key_of_its(
    server: Scripted, egg: Egg, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EGG_HIDDEN", "API_KEY GONE")
    monkeypatch.setenv("API_KEY", "hush-hush-hush")
    server.say(200, "", data={})

    egg("signal", "error", "--error", "invalid key hush-hush-hush")

    assert "hush" not in json.dumps(server.asked[0].body)
    assert "invalid key [API_KEY is hidden]" in json.dumps(server.asked[0].body)
