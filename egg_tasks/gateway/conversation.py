"""One connection to the gateway, request by request: which way each takes, and what of it is refused here."""

import asyncio
from collections.abc import Awaitable
from http import HTTPStatus

import h11
import structlog

from egg_tasks.gateway import answers, model_route
from egg_tasks.gateway.api_route import ApiRoute
from egg_tasks.gateway.guests import Guest
from egg_tasks.gateway.model_route import ModelRoute
from egg_tasks.gateway.peers import MAX_HEAD, BrokenError, GoneError, Peer
from egg_tasks.gateway.proxy_route import ProxyRoute
from egg_tasks.protocol import PREFIX
from models.errors import EggError, Malformed, NotFound, TooLarge

log = structlog.get_logger()

HEAD_SECONDS = 30.0
"""From a connection, or the end of the last answer on it, to the end of a request's head."""
OF_BODIES = {b"content-length", b"transfer-encoding"}
HEALTH = "/health"
"""The gateway's own; the API's is below its prefix."""


class Conversation:
    """One connection, from its first request to its end."""

    def __init__(
        self, near: Peer, guest: Guest, api: ApiRoute, *, proxy: ProxyRoute, models: ModelRoute
    ) -> None:
        self._near = near
        self._guest = guest
        self._api = api
        self._proxy = proxy
        self._models = models

    async def run(self) -> None:
        """Answer request after request until one of both hangs up."""
        try:
            while await self._one():
                self._near.http.start_next_cycle()
            await self._near.close()
        except (GoneError, BrokenError, OSError, TimeoutError):
            pass
        finally:
            self._near.abort()
            self._api.close()

    async def _one(self) -> bool:
        """Take one request; whether another may follow."""
        try:
            async with asyncio.timeout(HEAD_SECONDS):
                request = await _first(self._near.receive(), self._api.ended())
        except h11.RemoteProtocolError as error:
            await answers.refuse(self._near, _fault(error), closes=True)
            return False
        if not isinstance(request, h11.Request):
            return False
        try:
            await self._routed(request)
        except EggError as error:
            await self._refused(request, error)
        except h11.RemoteProtocolError as error:
            await self._refused(request, _fault(error))
        except (GoneError, BrokenError, OSError):
            raise
        except Exception:
            log.exception("gateway.bug")
            await self._refused(request, EggError("the gateway failed; its log says how"))
        return self._near.is_done

    async def _routed(self, request: h11.Request) -> None:
        path = request.target.decode("latin-1").partition("?")[0]
        if _is_proxys(request):
            await self._proxy.take(self._near, self._guest, request)
        elif path.startswith(f"{PREFIX}/"):
            await self._api.take(self._near, request, path)
        elif _is_models(request):
            await self._models.take(self._near, self._guest, request)
        elif path == HEALTH:
            content = {"success": True, "message": "the gateway is there", "data": {"status": "ok"}}
            await self._finish(request)
            await answers.send(self._near, HTTPStatus.OK, content)
        else:
            raise NotFound(
                f"the gateway leads to {PREFIX}/… (the API), /model/PROVIDER/… and, as a proxy, to hosts"
            )

    async def _refused(self, request: h11.Request, error: EggError) -> None:
        """Say no, if that can still be said."""
        if self._near.has_begun:
            raise BrokenError from error
        await self._finish(request)
        closes = self._near.http.their_state is not h11.DONE
        is_proxy = _is_proxys(request)
        is_model = not is_proxy and _is_models(request)
        await answers.refuse(self._near, error, closes=closes, is_proxy=is_proxy, is_model=is_model)

    async def _finish(self, request: h11.Request) -> None:
        """Read the end of a request, if nothing comes before that."""
        names = {name for name, _ in request.headers}
        if self._near.http.their_state is h11.SEND_BODY and names.isdisjoint(OF_BODIES):
            await self._near.receive()


def _is_proxys(request: h11.Request) -> bool:
    """Whether a request is for a host beyond."""
    return request.method == b"CONNECT" or b"://" in request.target.partition(b"?")[0]


def _is_models(request: h11.Request) -> bool:
    return request.target.startswith(model_route.PREFIX.encode())


def _fault(error: h11.RemoteProtocolError) -> EggError:
    """What is wrong with what somebody sent."""
    if error.error_status_hint == HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE:
        return TooLarge(f"the head of a request is at most {MAX_HEAD // 1024} KiB")
    return Malformed(f"this is no HTTP: {error}")


async def _first(*ways: Awaitable[object]) -> object:
    """What the first of them gives that ends; the others are given up."""
    tasks = [asyncio.ensure_future(way) for way in ways]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return next(task.result() for task in tasks if task in done)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
