"""Every answer says which egg the server is."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from egg_tasks import version
from egg_tasks.protocol import VERSION_HEADER

_NAME = VERSION_HEADER.lower().encode()


class VersionHeader:
    """Puts the server's version into each answer's headers."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and its answer back with one more header."""

        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (_NAME, version.ours().encode())]
            await send(message)

        await self.app(scope, receive, named)
