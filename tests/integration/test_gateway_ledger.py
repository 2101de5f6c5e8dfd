"""The gateway's ledger while the database is away: no end of a request is lost by that."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from sqlalchemy import text

from egg_tasks.clock import utcnow
from egg_tasks.database import unit_of_work
from egg_tasks.gateway import ledger
from egg_tasks.gateway.ledger import Ledger
from egg_tasks.model_providers import Provider, WireFormat
from models.schemas.usage import RequestEnd
from models.tables.model_request import UsageKnown
from tests.integration.api_rows import run_of
from tests.integration.api_scene import Scene

PROVIDER = Provider("anthropic", "https://localhost", WireFormat.ANTHROPIC, "KEY")
END = RequestEnd(http_status=200, usage=UsageKnown.WHOLE, input_tokens=7, output_tokens=5, milliseconds=9)


@contextmanager
def database_away(url: str, caretaker: psycopg.Connection) -> Iterator[None]:
    """Have the server let nobody to the database, and throw out who is there but the caretaker."""
    name = str(conninfo_to_dict(url)["dbname"])
    with psycopg.connect(make_conninfo(url, dbname="postgres"), autocommit=True) as server:
        allow = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
        server.execute(allow.format(sql.Identifier(name), sql.SQL("false")))
        server.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s AND pid <> %s",
            [name, caretaker.info.backend_pid],
        )
        try:
            yield
        finally:
            server.execute(allow.format(sql.Identifier(name), sql.SQL("true")))


def row() -> dict[str, Any]:
    """The one request."""
    with unit_of_work() as session:
        return dict(session.execute(text("SELECT * FROM model_requests")).mappings().one())


def test_an_end_that_finds_no_database_is_written_when_that_is_back(
    scene: Scene, database_url: str, caretaker: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "PAUSE_SECONDS", 0.01)
    program = {"backend": "command", "command": ["true"]}
    scene.start(agents={"coder": {**program, "providers": ["anthropic"]}, "tester": program})
    run_id, book = run_of(scene, "coder"), Ledger("local")

    async def ended() -> datetime:
        permit = await book.begin(run_id, PROVIDER, utcnow(), asks_model=True)
        with database_away(database_url, caretaker):
            await book.end(permit, END)
            await book.catch_up()
            back = utcnow()
        await book.catch_up()
        return back

    back = asyncio.run(ended())
    found = row()

    assert (found["usage"], found["input_tokens"], found["output_tokens"]) == ("whole", 7, 5)
    assert found["started_at"] <= found["ended_at"] <= back
