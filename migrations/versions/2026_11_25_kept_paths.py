"""What became of the work a run left uncommitted.

Rules for the author: forward only; one change, one transaction, seconds long (`migrations.LOCK_SECONDS`); safe
while the previous release runs: a column has a default that the tables say too, until a later release requires
it; a constraint is added NOT VALID and validated by a later migration; never import the project's tables, which
move on; name every constraint as the tables do. `tests/unit/test_migrations.py` looks.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "2026_11_25_kept_paths"
down_revision = "2026_11_25_clock"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add columns that may be empty: what the previous release writes stays whole."""
    op.add_column("agent_runs", sa.Column("refused_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("agent_runs", sa.Column("set_aside", sa.Text(), nullable=True))
    op.add_column("agent_runs", sa.Column("kept_paths", postgresql.ARRAY(sa.Text()), nullable=True))
