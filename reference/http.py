"""docs/reference/http.md: every route, from the API's own OpenAPI document."""

from collections.abc import Iterator, Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from egg_tasks.api import auth
from egg_tasks.api.app import create_app
from egg_tasks.api.errors import PREFIX
from reference.markdown import Schema, bounds, code, default, kind, plain, table
from reference.shapes import rows, used, words

INTRODUCTION = """\
# HTTP

Written from the API's own OpenAPI document by `make reference`; a test fails when it is not up to date.

JSON in, JSON out, at the address `egg up` prints (`EGG_ORCHESTRATOR_URL`; port 8700 if that is free). The
same as OpenAPI: `GET /api/v1/openapi.json`. [Talk to the bus](../howto/talk-to-the-bus.md) shows it with
`curl`.

Who asks says so by `Authorization: Bearer TOKEN`: people with the operator's token (`EGG_OPERATOR_TOKEN`;
of a local stack it is `operator_token` in `$EGG_HOME/stack.json`), agents with the `EGG_SESSION_TOKEN` of
their run.

A good answer is `{"success": true, "message": "a sentence for people", "data": {…}}`; below stands what is
in `data`. A refusal is `{"success": false, "message": "what is wrong, and the way out", "details": {…}}`:

| status | means |
|---|---|
| 400 | malformed: not JSON, a bad id, a value of the wrong kind in the address |
| 401 | no credential, or one that nobody knows |
| 403 | not this credential's to do |
| 404 | there is no such thing |
| 409 | the state is another (it is in `details`), or the credential's run is over |
| 413 | too large |
| 422 | well-formed, but refused; `details` names each fault |
| 429 | too many requests: wait `Retry-After` seconds |
| 503 | the database is away, or there is no room: try again after `Retry-After` seconds |
"""
WHO = {
    auth.agent: "an agent of the pipeline",
    auth.operator: "the operator",
    auth.member: "the operator, and agents of the pipeline",
    auth.talker: "the operator, and agents of the pipeline",
    auth.caller: "whoever has a token",
}
"""Who may ask, by what the route depends on; the first that is found counts."""
ANYONE = "anyone"


def page() -> str:
    """The whole page."""
    app = create_app()
    document = app.openapi()
    who = dict(_who(app))
    shapes: Mapping[str, Schema] = document["components"]["schemas"]
    names = words(shapes)
    parts, tag = [INTRODUCTION], ""
    wanted: dict[str, None] = {}
    for path, methods in document["paths"].items():
        for method, route in methods.items():
            (found,) = route.get("tags") or ("others",)
            if found != tag:
                tag = found
                parts.append(f"## {tag}\n")
            name = f"{method.upper()} {path}"
            parts.append(_route(name, route, shapes, who=who.get(name, ANYONE), names=names))
            wanted |= dict.fromkeys(_mentioned(route, shapes))
    parts += ["## Shapes\n", *(_shape(name, shapes[name], names) for name in _closed(wanted, shapes))]
    return "\n".join(parts)


def routes() -> Iterator[str]:
    """Every route, as `GET /api/v1/pipelines`."""
    for path, methods in create_app().openapi()["paths"].items():
        yield from (f"{method.upper()} {path}" for method in methods)


def _route(
    name: str, route: Schema, shapes: Mapping[str, Schema], *, who: str, names: Mapping[str, str]
) -> str:
    parts = [f"### `{name}`\n", f"{plain(route.get('description'))}\n", f"Who: {who}.\n"]
    given = [
        (
            code(each["name"]),
            each["in"],
            kind(each["schema"], names=names),
            default(each["schema"], required=each.get("required", False)),
            bounds(each["schema"]),
        )
        for each in route.get("parameters", ())
        if each["in"] != "path"
    ]
    parts.append(table(("parameter", "in", "what it may be", "default", "bounds"), given))
    if "requestBody" in route:
        body = _json(route["requestBody"])
        title = kind(body, names=names)
        said = "[a definition](definition.md)" if title == "anything" else title
        parts.append(f"Body: {said}.\n")
    for status, answer in route["responses"].items():
        if status.startswith("2"):
            parts.append(f"Answer: {status}, {_answer(_json(answer), shapes, names)}.\n")
    return "\n".join(part for part in parts if part)


def _answer(schema: Schema, shapes: Mapping[str, Schema], names: Mapping[str, str]) -> str:
    """What is in the envelope, or that there is none."""
    data = _data(schema, shapes)
    return kind(data, names=names) if data else "text"


def _data(schema: Schema, shapes: Mapping[str, Schema]) -> Schema:
    """The schema of an envelope's `data`; empty for an answer that has none."""
    named = str(schema.get("$ref", "")).rpartition("/")[2]
    data: Schema = shapes.get(named, {}).get("properties", {}).get("data", {})
    return data


def _mentioned(route: Schema, shapes: Mapping[str, Schema]) -> Iterator[str]:
    """The shapes that a route's body and good answers refer to."""
    yield from used(_json(route.get("requestBody", {})))
    for status, answer in route["responses"].items():
        if status.startswith("2"):
            yield from used(_data(_json(answer), shapes))


def _closed(wanted: Mapping[str, None], shapes: Mapping[str, Schema]) -> list[str]:
    """These shapes and all that they refer to, that have keys, by name."""
    found, left = set[str](), list(wanted)
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += used(shapes[name])
    return sorted(name for name in found if "properties" in shapes[name])


def _shape(name: str, schema: Schema, names: Mapping[str, str]) -> str:
    heads = ("key", "holds", "which is")
    return f"### {name}\n\n{plain(schema.get('description'))}\n\n{table(heads, rows(schema, names=names))}"


def _json(described: Mapping[str, Any]) -> Schema:
    schema: Schema = described.get("content", {}).get("application/json", {}).get("schema", {})
    return schema


def _who(app: FastAPI) -> Iterator[tuple[str, str]]:
    """Who may ask each route, read from what it depends on."""
    for included in app.routes:
        router = getattr(included, "original_router", None)
        for route in router.routes if router else (included,):
            if isinstance(route, APIRoute):
                asked = set(_calls(route.dependant))
                found = next((said for call, said in WHO.items() if call in asked), ANYONE)
                prefix = PREFIX if router else ""
                for method in route.methods or ():
                    yield f"{method} {prefix}{route.path}", found


def _calls(dependant: Dependant) -> Iterator[object]:
    for each in dependant.dependencies:
        yield each.call
        yield from _calls(each)
