"""The server proves to know a token before it is told it."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from egg_tasks import proof
from egg_tasks.api.envelope import Envelope
from egg_tasks.config import settings
from egg_tasks.database import unit_of_work
from egg_tasks.services import credentials

router = APIRouter(tags=["health"])

Keys = dict[str, bytes]
"""What is stored of a token, by its name: that never changes."""
MOST_KEYS = 10_000
"""With so many they are all forgotten, to be looked up anew."""


class Proof(BaseModel):
    """HMAC-SHA256 of `egg server ` and the nonce, keyed by the SHA-256 of the token, in hexadecimal."""

    proof: str


@router.get(proof.PATH)
async def prove(
    request: Request,
    credential: Annotated[str, Query(pattern="^[0-9a-f]{64}$")],
    nonce: Annotated[str, Query(pattern="^[0-9a-f]{32,64}$")],
) -> Envelope[Proof]:
    """Prove to know the token whose SHA-256, hashed once more, is *credential*; 401 when nobody knows it."""
    keys: Keys = request.app.state.keys
    key = keys.get(credential)
    if key is None:
        key = await run_in_threadpool(_key, credential)
        if len(keys) >= MOST_KEYS:
            keys.clear()
        keys[credential] = key
    return Envelope(message="this server knows the token", data=Proof(proof=proof.made(key, nonce)))


def _key(name: str) -> bytes:
    own = proof.key_of(settings().operator_token or "")
    if settings().operator_token and proof.name_of(own) == name:
        return own
    with unit_of_work() as session:
        return credentials.key(session, name=name)
