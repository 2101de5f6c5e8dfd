"""Where errors become answers: the kinds of `models.errors`, FastAPI's own, and bugs."""

import errno
import os
from http import HTTPStatus
from typing import cast

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic_core import ErrorDetails
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from egg_tasks import disk
from egg_tasks.api.envelope import refused, sentence
from egg_tasks.api.routes.front import way_out
from egg_tasks.config import settings
from models.errors import EggError, NoRoom, Unavailable
from models.schemas.http import refusal

log = structlog.get_logger()

BUG = "the server failed at this; the reason is in its log"
PREFIX = "/api/v1"
LACKS = frozenset({errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM})
"""Descriptors, processes and memory: there is more a little later."""


def install(app: FastAPI) -> None:
    """Have *app* answer errors in the envelope."""
    app.add_exception_handler(EggError, _egg_error)
    app.add_exception_handler(OSError, _full_disk)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http_error)


class Bugs:
    """Answers whatever was not raised on purpose with a plain sentence; the traceback is in the log only."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        has_begun = False

        async def sending(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self.app(scope, receive, sending)
        except Exception as error:
            if (lack := _lack(error)) and not has_begun:
                await refused(Unavailable(f"the server's machine has no room now: {lack}"))(
                    scope, receive, send
                )
                return
            log.exception("request.failed", method=scope.get("method"), path=scope.get("path"))
            if not has_begun:
                await sentence(HTTPStatus.INTERNAL_SERVER_ERROR, BUG)(scope, receive, send)


def _lack(error: BaseException | None) -> str | None:
    """What there was none left of, when that is why something failed."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in LACKS:
            return os.strerror(error.errno)
        error = error.__cause__ or error.__context__
    return None


async def _egg_error(_request: Request, error: Exception) -> Response:
    return refused(cast("EggError", error))


async def _full_disk(_request: Request, error: Exception) -> Response:
    known = cast("OSError", error)
    if not disk.is_full(known):
        raise error
    return refused(NoRoom(disk.shortage(settings().home) or f"no room on the disk: {known}"))


async def _invalid(_request: Request, error: Exception) -> Response:
    errors = cast("RequestValidationError", error).errors()
    return refused(refusal(cast("list[ErrorDetails]", errors)))


async def _http_error(request: Request, error: Exception) -> Response:
    known = cast("HTTPException", error)
    sentences = {
        HTTPStatus.NOT_FOUND: f"there is no {request.url.path} here: {way_out(request)}",
        HTTPStatus.METHOD_NOT_ALLOWED: f"{request.url.path} does not take {request.method}",
        HTTPStatus.BAD_REQUEST: "the body is not JSON",
    }
    message = sentences.get(HTTPStatus(known.status_code), str(known.detail))
    return sentence(known.status_code, message, headers=dict(known.headers or {}))
