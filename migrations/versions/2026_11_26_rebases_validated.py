"""The kinds of decisions that are known are so in the rows that were there before, too."""

from alembic import op

revision = "2026_11_26_rebases_validated"
down_revision = "2026_11_26_rebases"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE decisions VALIDATE CONSTRAINT ck_decisions_kind_known")
