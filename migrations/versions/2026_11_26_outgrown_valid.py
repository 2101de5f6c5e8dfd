"""The failures that are known are so in the rows that were there before, too."""

from alembic import op

revision = "2026_11_26_outgrown_valid"
down_revision = "2026_11_26_outgrown"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for column in ("failure", "stopped_for", "reported_failure"):
        op.execute(f"ALTER TABLE agent_runs VALIDATE CONSTRAINT ck_agent_runs_{column}_known")
