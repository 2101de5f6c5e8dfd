"""How an agent run is isolated: whoever attends it asks the runner that has it."""

import sqlalchemy as sa
from alembic import op

revision = "2026_11_26_isolation"
down_revision = "2026_11_26_egress"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "agent_runs", sa.Column("isolation", sa.Text(), server_default=sa.text("'process'"), nullable=False)
    )
