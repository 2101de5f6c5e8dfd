"""How a token is found by the hash of its hash, which is all that a server is told before its proof."""

from alembic import op

revision = "2026_11_25_proof"
down_revision = "2026_11_25_kept_paths"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE INDEX ix_agent_tokens_name ON agent_tokens (sha256(hash))")
