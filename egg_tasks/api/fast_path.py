"""The fast path: an agent's sends and polls, answered without the router, which would take most of the time.

What is as it should be is answered here. All else, and what something is in the way of, goes to the routes of
`routes/messages.py`, which take the same and refuse in one place: nothing is refused here.
"""

from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from egg_tasks.api.body_limit import replaying
from egg_tasks.api.envelope import Envelope
from egg_tasks.api.routes import messages
from egg_tasks.api.routes.messages import MessageAnswer, MessageQuery, MessagesAnswer
from egg_tasks.protocol import PREFIX
from models.schemas.credential import CallingAgent
from models.schemas.http import MessageIn

JSON = "application/json"
_SENT = TypeAdapter(Envelope[MessageAnswer])
_FOUND = TypeAdapter(Envelope[MessagesAnswer])


class FastPath:
    """Answers what agents ask most, in its turn; its places are behind the gate and all the limits."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on as it came."""
        who = scope.get("state", {}).get("who")
        answer: Response | None = None
        if (
            isinstance(who, CallingAgent)
            and scope["path"] == f"{PREFIX}/pipelines/{who.pipeline_id}/messages"
        ):
            if scope["method"] == "POST":
                message = await receive()
                body: bytes = message["body"]
                answer = await _send(Request(scope), who, body)
                receive = replaying(body, receive)
            elif scope["method"] == "GET":
                answer = await _poll(Request(scope, receive), who)
        await (answer or self.app)(scope, receive, send)


async def _send(request: Request, who: CallingAgent, body: bytes) -> Response | None:
    """Send a message with those who send now."""
    if request.headers.get("content-type") != JSON:
        return None
    try:
        wanted = MessageIn.model_validate_json(body)
    except ValidationError:
        return None
    sent = await messages.send_together(request, who, wanted)
    if sent is None:
        return None
    return Response(_SENT.dump_json(messages.sent_answer(sent)), 201, media_type=JSON)


async def _poll(request: Request, who: CallingAgent) -> Response | None:
    """Read what is new for an agent, waiting for it if need be."""
    given = request.query_params
    if "" in given.values():
        return None  # what an empty value means is the router's to say
    fields = {name: given.getlist(name) if name == "type" else value for name, value in given.items()}
    try:
        wanted = MessageQuery.model_validate(fields)
    except ValidationError:
        return None
    page = await messages.receive(request, who, wanted)
    return Response(_FOUND.dump_json(messages.page_answer(page)), media_type=JSON)
