"""What keeps a run from going on, where that is nobody's fault."""

import sqlalchemy as sa
from alembic import op

revision = "2026_11_26_held_up"
down_revision = "2026_11_26_model_requests"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("agent_runs", sa.Column("held_up", sa.Text(), nullable=True))
