"""How far a run says it is, beside the run; and failures are found by when they were.

The columns may be empty, and the default of the text is what the release before leaves.
"""

import sqlalchemy as sa
from alembic import op

revision = "2026_11_26_progress"
down_revision = "2026_11_25_attempts"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("agent_runs", sa.Column("progress", sa.Text(), nullable=True))
    op.add_column("agent_runs", sa.Column("progress_percent", sa.Integer(), nullable=True))
    op.add_column("agent_runs", sa.Column("progressed_at", sa.DateTime(timezone=True), nullable=True))
    op.execute("CREATE INDEX ix_agent_runs_failed ON agent_runs (ended_at) WHERE failure IS NOT NULL")
