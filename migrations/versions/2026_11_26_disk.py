"""What became of a run's clone on the disk, and that a person has a pipeline deleted.

Rules for the author: forward only; one change, one transaction, seconds long (`migrations.LOCK_SECONDS`); safe
while the previous release runs: a column has a default that the tables say too, until a later release requires
it; a constraint is added NOT VALID and validated by a later migration; never import the project's tables, which
move on; name every constraint as the tables do. `tests/unit/test_migrations.py` looks.
"""

import sqlalchemy as sa
from alembic import op

revision = "2026_11_26_disk"
down_revision = "2026_11_26_progress"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add moments that have not come: the clones of runs that are over already go as those to come do."""
    for column in ("clone_kept_at", "clone_removed_at"):
        op.add_column("agent_runs", sa.Column(column, sa.DateTime(timezone=True), nullable=True))
    op.add_column("pipelines", sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True))
    op.execute(
        "CREATE INDEX ix_agent_runs_uncleared ON agent_runs (send_after)"
        " WHERE closed_at IS NOT NULL AND clone_kept_at IS NULL AND clone_removed_at IS NULL"
    )
