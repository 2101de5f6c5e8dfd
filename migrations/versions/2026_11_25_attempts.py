"""How often a run was attended in a row without coming to its end, and a merge tried without being made.

Rules for the author: forward only; one change, one transaction, seconds long (`migrations.LOCK_SECONDS`); safe
while the previous release runs: a column has a default that the tables say too, until a later release requires
it; a constraint is added NOT VALID and validated by a later migration; never import the project's tables, which
move on; name every constraint as the tables do. `tests/unit/test_migrations.py` looks.
"""

import sqlalchemy as sa
from alembic import op

revision = "2026_11_25_attempts"
down_revision = "2026_11_25_quotas"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add counters that begin at nothing: what the previous release writes stays whole."""
    for table in ("agent_runs", "versions"):
        op.add_column(table, sa.Column("tries", sa.Integer(), nullable=False, server_default=sa.text("0")))
