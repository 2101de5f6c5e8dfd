"""The gateway's process: `python -m egg_tasks.gateway.server PORT`, one on a node. What it keeps is rows."""

import asyncio
import signal
import sys
from collections.abc import Callable
from contextlib import suppress

import h11
import structlog

from egg_tasks import descriptors, logging
from egg_tasks.config import Settings, settings_at_start
from egg_tasks.gateway import doors
from egg_tasks.gateway.api_route import ApiRoute
from egg_tasks.gateway.callers import Callers
from egg_tasks.gateway.conversation import Conversation
from egg_tasks.gateway.guests import Guests
from egg_tasks.gateway.ledger import Ledger
from egg_tasks.gateway.model_route import ModelRoute
from egg_tasks.gateway.peers import PIECE, Peer
from egg_tasks.gateway.proxy_route import ProxyRoute
from egg_tasks.tokens import Tokens
from models.errors import EggError

BEAT_SECONDS = 10.0

log = structlog.get_logger()


class Gateway:
    """All connections of a node's agents to what is beyond their own machine."""

    def __init__(self, known: Settings) -> None:
        self._settings = known
        self._tokens = Tokens()
        callers = Callers(self._tokens)
        self._proxy = ProxyRoute(callers)
        self._ledger = Ledger(known.node)
        self._models = ModelRoute(known.home, known.secrets_directory, callers, self._ledger)
        self._guests = Guests.of_this_process()
        self._talks: set[asyncio.Task[None]] = set()

    async def serve(self, port: int, over: asyncio.Event, tell: Callable[[], None] = lambda: None) -> None:
        """Serve until it is *over*; what is under way then is cut. *tell* is called once it listens."""
        servers = [
            await asyncio.start_server(self._welcome, sock=doors.tcp_door(port), limit=PIECE),
            await asyncio.start_unix_server(
                self._welcome, sock=doors.unix_door(self._settings.home), limit=PIECE
            ),
        ]
        log.info("gateway.started", port=port)
        tell()
        while not over.is_set():
            logging.beat()
            await self._ledger.mend()
            await self._ledger.catch_up()
            try:
                async with asyncio.timeout(BEAT_SECONDS):
                    await over.wait()
            except TimeoutError:
                pass
        for server in servers:
            server.close()
        for talk in list(self._talks):
            talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)
        await self._ledger.close()

    async def _welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Talk with whoever has connected, if there is room."""
        talk = asyncio.current_task()
        assert talk is not None, "this is one"  # noqa: S101
        self._talks.add(talk)
        talk.add_done_callback(self._talks.discard)
        with self._guests.entered(writer.get_extra_info("socket"), writer.transport.abort) as guest:
            if guest is None:
                writer.transport.abort()
                return
            near = Peer(h11.SERVER, reader, writer)
            api = ApiRoute(self._settings.api_url, self._tokens, guest)
            # Who is cancelled at the end has hung up, and asyncio wants no more of it.
            with suppress(asyncio.CancelledError):
                await Conversation(near, guest, api, proxy=self._proxy, models=self._models).run()


async def _serve(known: Settings, port: int) -> None:
    over = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, over.set)
    await Gateway(known).serve(port, over)


def main() -> None:
    """Run the gateway of this environment's EGG_HOME."""
    logging.configure()
    descriptors.raise_limit()
    known = settings_at_start()
    try:
        with doors.owned(known.home):
            asyncio.run(_serve(known, int(sys.argv[1])))
    except EggError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
