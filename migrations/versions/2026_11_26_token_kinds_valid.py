"""The kinds of tokens are known in the rows that were there before, too."""

from alembic import op

revision = "2026_11_26_token_kinds_valid"
down_revision = "2026_11_26_token_kinds"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE agent_tokens VALIDATE CONSTRAINT ck_agent_tokens_kind_known")
