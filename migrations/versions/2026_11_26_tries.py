"""How often a pipeline's branch could not be moved in a row, or its files not be removed, and why."""

import sqlalchemy as sa
from alembic import op

revision = "2026_11_26_tries"
down_revision = "2026_11_26_rebases_validated"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("pipelines", sa.Column("tries", sa.Integer(), server_default=sa.text("0"), nullable=False))
    op.add_column("pipelines", sa.Column("tries_why", sa.Text(), nullable=True))
