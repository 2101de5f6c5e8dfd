"""Columns of the engine keep a default, also where an earlier build of that migration took it away.

So rows that the release before writes while this one comes in are whole.
"""

import sqlalchemy as sa
from alembic import op

revision = "2026_11_25_defaults"
down_revision = "2026_11_21_engine"
branch_labels = None
depends_on = None

DEFAULTS = (
    ("agent_runs", "is_cut_short", "false"),
    ("phase_runs", "iterations_used", "1"),
    ("phase_runs", "feedback", "'{}'"),
    ("decisions", "is_free", "false"),
    ("decisions", "asked_by", "'orchestrator'"),
    ("decisions", "notices", "0"),
    ("pipelines", "extra_iterations", "0"),
)


def upgrade() -> None:
    for table, column, value in DEFAULTS:
        op.alter_column(table, column, server_default=sa.text(value))
