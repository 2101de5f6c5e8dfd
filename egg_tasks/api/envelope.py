"""The envelope every answer comes in."""

from typing import Generic, TypeVar

from fastapi.responses import JSONResponse
from pydantic import BaseModel

from models.errors import EggError, TooMany, Unauthenticated, Unavailable

T = TypeVar("T", bound=BaseModel)


class Envelope(BaseModel, Generic[T]):
    """A good answer: a sentence for people and data for programs."""

    success: bool = True
    message: str
    data: T


class Refusal(BaseModel):
    """An answer that is no good: why, and what a program can make of it."""

    success: bool = False
    message: str
    details: dict[str, object] = {}


def refused(error: EggError) -> JSONResponse:
    """The answer that an error on purpose is."""
    headers = {}
    if isinstance(error, Unauthenticated):
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, Unavailable):
        headers["Retry-After"] = "1"
    if isinstance(error, TooMany):
        headers["Retry-After"] = str(error.details.get("retry_after", 1))
    return sentence(error.status, error.message, details=error.details, headers=headers)


def sentence(
    status: int,
    message: str,
    *,
    details: dict[str, object] | None = None,
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    """A refusal of any status."""
    content: dict[str, object] = {"success": False, "message": message}
    if details:
        content["details"] = details
    return JSONResponse(content, status_code=status, headers=headers)
