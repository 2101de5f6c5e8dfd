"""Both clients against the real API, by a way on which answers are lost."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from threading import Thread
from typing import Any

import pytest

from egg_tasks import database
from egg_tasks.async_client import AsyncClient
from egg_tasks.client import Client, NewMessage, Wanted
from egg_tasks.proof import PATH
from egg_tasks.protocol import PREFIX
from models.errors import Conflict
from tests.integration.api_scene import NAME, Scene

WAITING = 500


@dataclass
class Way:
    """A way to the API on which every other answer is lost."""

    url: str
    lost: list[str] = field(default_factory=list)


@contextmanager
def lossy(port: int) -> Iterator[Way]:
    """Pass requests on, and lose the first answer and each second one after it."""
    asked: list[str] = []

    class Losing(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def pass_on(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            api = HTTPConnection("127.0.0.1", port, timeout=30)
            api.request(self.command, self.path, body=content or None, headers=dict(self.headers.items()))
            answer = api.getresponse()
            text = answer.read()
            api.close()
            if not self.path.startswith(PREFIX + PATH):
                asked.append(self.path)
                if len(asked) % 2:
                    way.lost.append(self.path)
                    self.close_connection = True
                    return
            self.send_response(answer.status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = pass_on  # noqa: N815  names of http.server

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  its name there
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Losing) as http:
        way = Way(f"http://127.0.0.1:{http.server_address[1]}")
        thread = Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield way
        http.shutdown()
        thread.join()


def direct(shop: Scene, who: str) -> Client:
    """A client whose answers all come."""
    return Client(f"http://127.0.0.1:{shop.port}", shop.tokens[who])


def subjects(found: list[dict[str, Any]]) -> list[str]:
    """What the messages are called."""
    return [message["subject"] for message in found]


def test_each_message_is_sent_and_read_once_though_answers_are_lost(shop: Scene) -> None:
    wanted = [str(number) for number in range(6)]
    with lossy(shop.port) as way:
        coder = Client(way.url, shop.tokens["coder"])
        for subject in wanted:
            coder.send(NAME, NewMessage("PROGRESS", "tester", subject))
        tester = Client(way.url, shop.tokens["tester"])
        pages = [tester.poll(NAME, Wanted(limit=2))["messages"] for _ in range(4)]

    assert [subjects(page) for page in pages] == [wanted[:2], wanted[2:4], wanted[4:], []]
    assert len(way.lost) == 10


def test_the_asynchronous_client_does_the_same(shop: Scene) -> None:
    wanted = [str(number) for number in range(6)]

    async def talk(url: str) -> list[list[str]]:
        async with AsyncClient(url, shop.tokens["coder"]) as coder:
            for subject in wanted:
                await coder.send(NAME, NewMessage("PROGRESS", "tester", subject))
        async with AsyncClient(url, shop.tokens["tester"]) as tester:
            pages = [await tester.poll(NAME, Wanted(limit=2)) for _ in range(4)]
        return [subjects(page["messages"]) for page in pages]

    with lossy(shop.port) as way:
        pages = asyncio.run(talk(way.url))

    assert pages == [wanted[:2], wanted[2:4], wanted[4:], []]
    assert len(way.lost) == 10


def test_a_follower_gets_each_message_once_as_it_comes(shop: Scene) -> None:
    coder = direct(shop, "coder")
    coder.send(NAME, NewMessage("PROGRESS", subject="before"))
    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(lambda: list(islice(direct(shop, "tester").follow(NAME, Wanted()), 3)))
        coder.send(NAME, NewMessage("PROGRESS", subject="meanwhile"))
        coder.send(NAME, NewMessage("QUESTION", "tester", "last"))

        found = following.result(timeout=30)

    assert subjects(found) == ["before", "meanwhile", "last"]


def test_an_asynchronous_follower_gets_them_too(shop: Scene) -> None:
    async def follow() -> list[str]:
        url = f"http://127.0.0.1:{shop.port}"
        async with (
            AsyncClient(url, shop.tokens["coder"]) as coder,
            AsyncClient(url, shop.tokens["tester"]) as tester,
        ):
            found = []
            await coder.send(NAME, NewMessage("PROGRESS", subject="0"))
            async for message in tester.follow(NAME, Wanted()):
                found.append(message["subject"])
                if len(found) == 3:
                    break
                await coder.send(NAME, NewMessage("PROGRESS", subject=str(len(found))))
            return found

    assert asyncio.run(follow()) == ["0", "1", "2"]


def test_a_follower_ends_with_its_run(shop: Scene) -> None:
    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(lambda: list(direct(shop, "tester").follow(NAME, Wanted(wait=20))))
        shop.ask("POST", f"/pipelines/{NAME}/cancel")

        with pytest.raises(Conflict, match="over"):
            following.result(timeout=30)


def test_five_hundred_wait_at_once_and_hold_no_connection(shop: Scene) -> None:
    async def wait() -> tuple[int, list[list[str]]]:
        async with AsyncClient(f"http://127.0.0.1:{shop.port}", shop.tokens["operator"]) as client:
            wanted = Wanted(role="tester", since=0, wait=60)
            polls = [asyncio.create_task(client.poll(NAME, wanted)) for _ in range(WAITING)]
            held = await least_held()
            async with AsyncClient(client.url, shop.tokens["coder"]) as coder:
                await coder.send(NAME, NewMessage("PROGRESS", subject="now"))
            return held, [subjects((await poll)["messages"]) for poll in polls]

    async def least_held() -> int:
        held = WAITING
        for _ in range(200):
            await asyncio.sleep(0.05)
            held = min(held, database.engine().pool.checkedout())  # type: ignore[attr-defined]
            if held == 0 and len(shop_waiters()) == WAITING:
                break
        return held

    def shop_waiters() -> set[asyncio.Event]:
        return {event for events in shop.app.state.waiters._events.values() for event in events}

    held, found = asyncio.run(wait())

    assert held == 0
    assert found == [["now"]] * WAITING
