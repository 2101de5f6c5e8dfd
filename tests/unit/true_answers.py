"""What the API could have said: tests' answers are completed to whole ones and held against its schemas."""

import types
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin
from uuid import UUID

from fastapi.routing import APIRoute
from pydantic import BaseModel, TypeAdapter, ValidationError

from egg_tasks.api.app import create_app
from egg_tasks.api.errors import PREFIX

MOMENT = datetime(2026, 11, 21, 7, 30, tzinfo=UTC)
ZEROS: Mapping[type, object] = {
    str: "",
    int: 0,
    float: 0.0,
    bool: False,
    datetime: MOMENT,
    timedelta: timedelta(0),
    UUID: UUID(int=0),
}


class Untrue(AssertionError):
    """The server could not have said this."""


@cache
def _routes() -> Sequence[APIRoute]:
    """Those that answer with a document."""
    routers = [getattr(route, "original_router", None) for route in create_app().routes]
    routes = [route for router in routers if router for route in router.routes]
    return [route for route in routes if isinstance(route, APIRoute) and route.response_model is not None]


def shape(method: str, path: str) -> Any:
    """The type of a good answer to a request; None where it is no document."""
    below = path.removeprefix(PREFIX)
    found = (
        route for route in _routes() if method in (route.methods or ()) and route.path_regex.fullmatch(below)
    )
    return next((route.response_model for route in found), None)


def whole(kind: Any, said: object, *, at: str = "") -> object:
    """The answer as JSON with all that *said* leaves out; raises `Untrue` for what *kind* has not."""
    filled = _filled(kind, said, at)
    try:
        adapter = TypeAdapter(kind)
        return adapter.dump_python(adapter.validate_python(filled), mode="json")
    except ValidationError as error:
        raise Untrue(str(error)) from error


def fitting(kind: Any, said: dict[str, Any]) -> dict[str, Any]:
    """An envelope without the data that this kind of answer has no place for."""
    data = kind.model_fields["data"].annotation
    data = next((one for one in get_args(data) if one is not type(None)), data)
    fields = data.model_fields
    fit = {name: one for name, one in said["data"].items() if name in fields}
    return {**said, "data": {name: one for name, one in fit.items() if _fits(fields[name].annotation, one)}}


def _fits(kind: Any, said: object) -> bool:
    try:
        whole(kind, said)
    except Untrue:
        return False
    return True


def _filled(kind: Any, said: object, at: str) -> object:
    """What was said, with zeros for all that its type has besides."""
    if isinstance(kind, type) and issubclass(kind, BaseModel) and isinstance(said, Mapping):
        if strange := set(said) - set(kind.model_fields):
            raise Untrue(f"{kind.__name__} at {at or 'the top'} has no {sorted(strange)}")
        return {
            name: _filled(field.annotation, said[name], f"{at}.{name}")
            if name in said
            # What has a default is left out: the server's own counts.
            else _zero(field.annotation)
            for name, field in kind.model_fields.items()
            if name in said or field.is_required()
        }
    origin, inner = get_origin(kind), get_args(kind)
    if origin in {Union, types.UnionType}:
        return _filled(next((one for one in inner if one is not type(None)), None), said, at)
    if origin is not None and isinstance(said, list | tuple) and inner:
        return [_filled(inner[0], one, f"{at}[{n}]") for n, one in enumerate(said)]
    if origin is not None and isinstance(said, Mapping) and len(inner) == 2:
        return {key: _filled(inner[1], one, f"{at}.{key}") for key, one in said.items()}
    return said


def _zero(kind: Any) -> object:
    origin, inner = get_origin(kind), get_args(kind)
    if origin in {Union, types.UnionType}:
        return None if type(None) in inner else _zero(inner[-1])
    if origin is Literal:
        return inner[0]
    if origin is not None:
        return {} if issubclass(origin, Mapping) else []
    if issubclass(kind, BaseModel):
        return _filled(kind, {}, "")
    if issubclass(kind, Enum):
        return next(iter(kind)).value
    return ZEROS.get(kind)
