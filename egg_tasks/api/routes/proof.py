"""The server proves to know a token before it is told it."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel

from egg_tasks import proof
from egg_tasks.api.envelope import Envelope
from egg_tasks.api.rate_limit import NOBODY, Rates
from egg_tasks.config import settings
from egg_tasks.services.credentials import UNKNOWN
from egg_tasks.tokens import Tokens
from models.errors import Unauthenticated
from models.schemas.credential import Operator

router = APIRouter(tags=["health"])


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
    own = proof.key_of(settings().operator_token or "")
    if settings().operator_token and proof.name_of(own) == credential:
        request.state.who, key = Operator(), own
    else:
        tokens: Tokens = request.app.state.tokens
        rates: Rates = request.app.state.rates
        known = await tokens.find(credential)
        rates.spend(("proof", known.agent.run_id) if known else NOBODY, rate=settings().rate_limit)
        if known is None:
            raise Unauthenticated(UNKNOWN)
        # Who was proved to on this connection asks on it next: it is no stranger's.
        request.state.who, key = known.agent, known.key
    return Envelope(message="this server knows the token", data=Proof(proof=proof.made(key, nonce)))
