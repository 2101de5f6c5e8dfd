"""A token is an agent's, or one that opens hosts for a set-up or a check and nothing else."""

import sqlalchemy as sa
from alembic import op

revision = "2026_11_26_token_kinds"
down_revision = "2026_11_26_setup_validated"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "agent_tokens", sa.Column("kind", sa.Text(), server_default=sa.text("'agent'"), nullable=False)
    )
    op.create_check_constraint(
        op.f("ck_agent_tokens_kind_known"),
        "agent_tokens",
        "kind IN ('agent', 'setup', 'check')",
        postgresql_not_valid=True,
    )
