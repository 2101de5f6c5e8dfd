"""The pipelines that are repeated are there."""

from alembic import op

revision = "2026_11_26_lineage_validated"
down_revision = "2026_11_26_lineage"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE pipelines VALIDATE CONSTRAINT fk_pipelines_rerun_of_pipelines")
