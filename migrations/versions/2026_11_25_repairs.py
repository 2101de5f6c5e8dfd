"""Where repairs of the reconciler are counted."""

import sqlalchemy as sa
from alembic import op

revision = "2026_11_25_repairs"
down_revision = "2026_11_25_validated"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "repairs",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("kind", name=op.f("pk_repairs")),
    )
