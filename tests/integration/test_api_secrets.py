"""What must not get out, and who must not be held up."""

import json
import os
import socket
from http.client import HTTPConnection

import pytest
import redis
from sqlalchemy import text

from egg_tasks import run_places
from egg_tasks.adapters import backend, runner, workspace
from egg_tasks.attending import launching
from egg_tasks.config import settings
from egg_tasks.database import unit_of_work
from models.queries import agent_runs
from models.schemas.run import Launch
from models.tables.base import Base
from tests.integration.api_rows import run_of
from tests.integration.api_scene import NAME, OPERATOR, Scene

MIB = 1024 * 1024
P = f"/pipelines/{NAME}"


def launched(shop: Scene) -> Launch:
    """The launch of the coder's agent, as a worker makes it; its token is a new one."""
    clone = workspace().open_clone(NAME, role="coder", run_id=run_of(shop, "coder"), work_commit=_work())
    with unit_of_work() as session:
        run = agent_runs.get_agent_run(session, run_id=run_of(shop, "coder"))
        layout = runner().layout(run.id)
        return launching.of_agent(
            session,
            run=run,
            backend=backend(),
            clone=clone,
            layout=layout,
            repository=workspace().repository(NAME),
            settings=settings(),
            seen={},
        )


def test_an_agents_environment_holds_nothing_of_ours(shop: Scene) -> None:
    ours = [os.environ[name] for name in ("EGG_DATABASE_URL", "EGG_REDIS_URL", "EGG_OPERATOR_TOKEN")]

    launch = launched(shop)

    assert (
        not {"EGG_DATABASE_URL", "EGG_REDIS_URL", "EGG_OPERATOR_TOKEN", "EGG_HOME"}
        & launch.environment.keys()
    )
    assert not [value for value in launch.environment.values() if any(secret in value for secret in ours)]


def test_a_token_is_in_no_table_no_prompt_and_no_representation(shop: Scene) -> None:
    launch = launched(shop)
    assert launch.token

    with unit_of_work() as session:
        rows = [
            str(session.scalars(text(f"SELECT t::text FROM {table.fullname} t")).all())  # noqa: S608 - our own names
            for table in Base.metadata.sorted_tables
        ]

    told = (repr(launch), launch.prompt, *launch.argv, *launch.environment.values(), *rows)
    assert not [each for each in told if launch.token in each]


def test_no_answer_and_no_broker_holds_a_credential(shop: Scene, redis_url: str) -> None:
    answers = [
        shop.ask("GET", path, who=who).body
        for path in (
            "/pipelines",
            P,
            f"{P}/status",
            f"{P}/context",
            f"{P}/agents",
            f"{P}/nothing",
            f"{P}/messages",
        )
        for who in ("operator", "coder", "a-token-nobody-knows")
    ]
    shop.say("coder", "BLOCKED", on="tester")

    told = json.dumps(answers)
    assert not [token for token in (OPERATOR, "a-token-nobody-knows", shop.tokens["coder"]) if token in told]
    with redis.Redis.from_url(redis_url) as broker:
        kept = b"".join(broker.dump(key) or b"" for key in broker.scan_iter("*"))
    assert shop.tokens["coder"].encode() not in kept


def test_a_bug_does_not_log_the_credential(shop: Scene, capfd: pytest.CaptureFixture[str]) -> None:
    with unit_of_work() as session:
        session.execute(text("UPDATE pipelines SET definition = '{}'"))

    assert shop.ask("GET", P).status == 500

    written = capfd.readouterr()
    assert OPERATOR not in written.out + written.err


def test_repositories_and_clones_are_their_owners_alone(shop: Scene) -> None:
    repositories = [path for path in (shop.home / "repos").iterdir() if path.is_dir()]
    places = [*repositories, shop.clone("coder"), shop.clone("coder").parent]

    assert {path.stat().st_mode & 0o777 for path in places} == {0o700}


@pytest.mark.parametrize("kind", ["link", "pipe", "directory"])
def test_a_log_that_is_no_file_of_the_runs_own_is_not_read(shop: Scene, kind: str) -> None:
    log = run_places.ours(shop.clone("coder").parent) / "output.log"
    log.parent.mkdir(parents=True)
    secret = shop.home / "secret"
    secret.write_text("s3cret")
    if kind == "link":
        log.symlink_to(secret)
    elif kind == "pipe":
        os.mkfifo(log)
    else:
        log.mkdir()

    answer = shop.ask("GET", f"{P}/agents/{run_of(shop, 'coder')}/logs")

    assert (answer.status, answer.data["text"]) == (200, "")


def test_a_log_is_empty_beyond_its_end_wherever_that_is(shop: Scene) -> None:
    log = run_places.ours(shop.clone("coder").parent) / "output.log"
    log.parent.mkdir(parents=True)
    log.write_text("said")

    assert runner().read_log(run_of(shop, "coder"), offset=2**62, limit=1) == b""


@pytest.mark.parametrize(
    "name", ["..", "%2e%2e", "..%2f..%2fetc", "a%2f..%2fb", "%00", "-x", "a.lock", "a%0Ab"]
)
def test_no_name_of_a_pipeline_leads_out(shop: Scene, name: str) -> None:
    assert shop.ask("GET", f"/pipelines/{name}/status").status in {400, 404}


def test_a_body_in_pieces_without_a_length_is_limited_too(shop: Scene) -> None:
    connection = HTTPConnection("127.0.0.1", shop.port, timeout=30)
    headers = {"Authorization": f"Bearer {OPERATOR}", "Content-Type": "application/json"}
    pieces = (b" " * 65_536 for _ in range(2 * MIB // 65_536))
    connection.request("POST", "/api/v1/pipelines", body=pieces, headers=headers, encode_chunked=True)
    status = connection.getresponse().status
    connection.close()

    assert status == 413


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"metadata":'])
def test_what_is_nested_as_deep_as_a_body_may_be_is_refused(shop: Scene, opening: bytes) -> None:
    raw = opening * ((128 * 1024) // len(opening))

    assert shop.ask("POST", f"{P}/messages", raw=raw).status in {400, 413}


def test_metadata_nested_too_deep_is_refused_by_name(shop: Scene) -> None:
    deep = b'{"message_type": "PROGRESS", "metadata": {"a": ' + b"[" * 90 + b"]" * 90 + b"}}"

    answer = shop.ask("POST", f"{P}/messages", raw=deep, who="coder")

    assert (answer.status, answer.body["details"]["faults"][0]["path"]) == (422, "metadata")


def test_bodies_that_never_end_hold_nobody_up(shop: Scene) -> None:
    head = b"POST /api/v1/pipelines HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{"
    slow = [socket.create_connection(("127.0.0.1", shop.port)) for _ in range(100)]
    try:
        for each in slow:
            each.sendall(head)

        assert shop.ask("GET", "/pipelines").status == 200
    finally:
        for each in slow:
            each.close()


def test_no_other_site_is_let_in_by_a_browser(shop: Scene) -> None:
    headers = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}

    answer = shop.ask("OPTIONS", P, headers=headers)

    assert answer.status == 405
    assert not [name for name in answer.headers if name.startswith("access-control")]


def _work() -> str:
    with unit_of_work() as session:
        return str(session.scalar(text("SELECT work_commit FROM pipelines WHERE id = :name"), {"name": NAME}))


@pytest.mark.parametrize(
    ("mode", "concurrent_execution", "said"),
    [
        (None, True, "true"),
        (None, False, "false"),
        ("concurrent", False, "true"),
        ("waves", True, "false"),
        ("sequential", True, "false"),
    ],
)
def test_an_agent_is_told_the_mode_of_its_phase(
    scene: Scene, mode: str | None, concurrent_execution: bool, said: str
) -> None:
    phase = {"name": "implement", "roles": [{"role": "coder"}]} | ({"mode": mode} if mode else {})
    scene.start(config={"concurrent_execution": concurrent_execution}, phases=[phase])

    assert launched(scene).environment["EGG_CONCURRENT_MODE"] == said
