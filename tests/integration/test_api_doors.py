"""Who may enter, and what is answered to what may not."""

import subprocess
import sys
from datetime import timedelta
from http.client import HTTPConnection

import pytest
from sqlalchemy import text

from egg_tasks.clock import utcnow
from egg_tasks.database import unit_of_work
from egg_tasks.services import pipelines
from tests.integration.api_scene import NAME, OPERATOR, Scene, forget

MIB = 1024 * 1024


def test_health_asks_for_no_credential(scene: Scene) -> None:
    assert scene.ask("GET", "/health", who=None).body["success"] is True


def test_ready_touches_database_and_broker(scene: Scene) -> None:
    assert scene.ask("GET", "/ready", who=None).data["broker"] == "ok"


def metrics(scene: Scene) -> str:
    """What Prometheus reads."""
    connection = HTTPConnection("127.0.0.1", scene.port)
    credential = {"Authorization": f"Bearer {OPERATOR}"}
    connection.request("GET", "/api/v1/metrics", headers=credential)
    numbers = connection.getresponse().read().decode()
    connection.close()
    return numbers


def test_metrics_count_what_the_rows_hold(shop: Scene) -> None:
    assert "egg_agents_live 2.0" in metrics(shop)


def test_metrics_count_the_repairs_of_the_reconciler_which_is_another_process(scene: Scene) -> None:
    """Each of its rounds finds one pipeline whose repository nobody has made."""
    round_ = "from egg_tasks.reconciler import reconcile; reconcile()"
    for name in ("one", "two"):
        scene.create(name=name)
        with unit_of_work() as session:
            pipelines.start(session, pipeline_id=name, now=utcnow() - timedelta(minutes=1))
        subprocess.run([sys.executable, "-c", round_], check=True, capture_output=True)

    assert 'egg_repairs_total{kind="prepare_pipelines"} 2.0' in metrics(scene)


@pytest.mark.parametrize("who", [None, "a-token-nobody-knows", "\xe9"])
def test_nobody_enters_without_a_known_credential(scene: Scene, who: str | None) -> None:
    answer = scene.ask("GET", "/pipelines", who=who)

    assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/pipelines"),
        ("POST", f"/pipelines/{NAME}/cancel"),
        ("GET", f"/pipelines/{NAME}/events"),
        ("POST", f"/pipelines/{NAME}/decisions/1/resolve"),
    ],
)
def test_what_is_the_operators_is_not_an_agents(shop: Scene, method: str, path: str) -> None:
    assert shop.ask(method, path, {"resolution": "x"}, who="coder").status == 403


def test_what_is_an_agents_is_not_the_operators(shop: Scene) -> None:
    assert shop.ask("POST", f"/pipelines/{NAME}/sync").status == 403


def test_an_agent_stays_in_its_own_pipeline(shop: Scene) -> None:
    assert shop.ask("GET", "/pipelines/other/messages", who="coder").status == 403


def test_an_agent_whose_run_is_over_is_told_the_epoch_that_counts(shop: Scene) -> None:
    shop.ask("POST", f"/pipelines/{NAME}/cancel")

    answer = shop.ask("GET", f"/pipelines/{NAME}/messages", who="coder")

    assert (answer.status, answer.body["details"]["pipeline_status"]) == (409, "cancelled")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", f"/pipelines/{NAME}/discoveries", 404),
        ("DELETE", "/pipelines", 405),
        ("GET", "/pipelines/a%00b", 400),
        ("GET", "/pipelines/a..b", 400),
        ("GET", "/pipelines/nobody", 404),
        ("GET", "/pipelines?limit=501", 400),
        ("GET", "/pipelines?status=odd", 400),
        ("GET", "/pipelines/nobody/agents/x", 400),
        ("GET", "/decisions/0", 400),
        ("GET", "/decisions/99999999999999999999", 400),
        ("GET", "/decisions/7", 404),
        ("GET", "/pipelines/nobody/events?after=-1", 400),
        ("GET", "/pipelines/nobody/events?wait=61", 400),
    ],
)
def test_what_cannot_be_asked_is_refused_in_the_envelope(
    scene: Scene, method: str, path: str, status: int
) -> None:
    answer = scene.ask(method, path)

    assert (answer.status, answer.body["success"]) == (status, False)
    assert answer.body["message"]


@pytest.mark.parametrize(
    ("raw", "headers", "status"),
    [
        (b'{"version"', {}, 400),
        (b"\xff\xfe", {}, 400),
        (b"[" * 100_000, {}, 400),
        (b"[]", {}, 422),
        (b'{"version": 1e999, "repo": "\\ud800"}', {}, 422),
        (b"{}", {"Content-Type": "text/plain"}, 400),
        (b" " * (MIB + 1), {}, 413),
        (b" " * (4 * MIB), {"Content-Type": "text/plain"}, 413),
    ],
)
def test_a_body_that_is_no_good_is_no_bug(
    scene: Scene, raw: bytes, headers: dict[str, str], status: int
) -> None:
    assert scene.ask("POST", "/pipelines", raw=raw, headers=headers).status == status


def test_a_bug_is_answered_with_a_sentence_and_no_traceback(scene: Scene) -> None:
    scene.create()
    with unit_of_work() as session:
        session.execute(text("UPDATE pipelines SET definition = '{}'"))

    answer = scene.ask("GET", f"/pipelines/{NAME}")

    assert (answer.status, answer.body) == (
        500,
        {"success": False, "message": "the server failed at this; the reason is in its log"},
    )


def test_a_database_that_is_away_is_503_and_worth_another_try(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EGG_DATABASE_URL", "postgresql://egg@127.0.0.1:1/egg")
    forget()

    answer = scene.ask("GET", "/pipelines")

    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
