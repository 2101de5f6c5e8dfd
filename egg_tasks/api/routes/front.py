"""What the server is, for whoever comes without knowing, and numbers where Prometheus looks for them."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import BaseModel

from egg_tasks import version
from egg_tasks.api.auth import OPERATOR
from egg_tasks.api.envelope import Envelope
from egg_tasks.api.routes import health
from egg_tasks.protocol import PREFIX
from models.schemas.fault import meant

router = APIRouter(tags=["health"])
DOORS = ("/", "/api", PREFIX)
"""Where the server says what it is."""


class Front(BaseModel):
    """What the server is, and where there is more."""

    name: str = version.PACKAGE
    version: str
    api: str = PREFIX
    openapi: str = f"{PREFIX}/openapi.json"
    health: str = f"{PREFIX}/health"
    ready: str = f"{PREFIX}/ready"
    metrics: str = "/metrics"
    commands: str = "egg --help"


async def front(request: Request) -> Response:
    """Say what this is: JSON, or text for a browser."""
    found = Front(version=version.ours())
    sentence = f"egg-tasks {found.version}: several AI coding agents on one repository that must agree"
    if "text/html" in request.headers.get("accept", ""):
        rows = [f"  {name:<9} {value}" for name, value in found.model_dump().items() if name != "name"]
        last = (
            "All but health, ready and openapi needs a credential: Authorization: Bearer TOKEN (`egg env`)."
        )
        return PlainTextResponse("\n".join([f"{sentence}.", "", *rows, "", last, ""]))
    return JSONResponse(Envelope(message=sentence, data=found).model_dump())


# Not in the description: its paths are those of the API.
for door in DOORS:
    router.add_api_route(
        door, front, methods=["GET"], response_model=Envelope[Front], include_in_schema=False
    )
router.add_api_route(
    "/metrics",
    health.metrics,
    methods=["GET"],
    response_class=Response,
    dependencies=[OPERATOR],
    include_in_schema=False,
)


def way_out(request: Request) -> str:
    """What somebody may have meant who asked for a path that there is not, to go on after it."""
    path, templates = request.url.path, list(request.app.openapi()["paths"])
    inside = f"{PREFIX}{path}"
    if any(_filled(template, inside) == inside for template in templates):
        return f"the API begins at {PREFIX} (did you mean {inside}?)"
    known = {_filled(template, path) for template in templates} if path.startswith(f"{PREFIX}/") else set()
    likely = meant(path, known).replace("`", "")
    return f"GET / says what there is, {PREFIX}/openapi.json all of it{likely}"


def _filled(template: str, path: str) -> str:
    """A route's path with what *path* has where it may be anything."""
    words = path.split("/")
    steps = template.split("/")
    return "/".join(
        words[at] if step.startswith("{") and at < len(words) else step for at, step in enumerate(steps)
    )
