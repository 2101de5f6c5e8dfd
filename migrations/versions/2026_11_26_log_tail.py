"""A run that failed keeps the last lines of its output in its row, for whoever is asked about it.

Rows that the release before writes while this one comes in have none.
"""

import sqlalchemy as sa
from alembic import op

revision = "2026_11_26_log_tail"
down_revision = "2026_11_26_config_validated"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "agent_runs", sa.Column("log_tail", sa.Text(), server_default=sa.text("''"), nullable=False)
    )
