"""A pipeline knows which one it repeats, and from which file it was made."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "2026_11_26_lineage"
down_revision = "2026_11_26_log_tail"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("rerun_of", "rerun_of_name", "file", "client_key"):
        op.add_column("pipelines", sa.Column(name, sa.Text(), nullable=True))
    op.add_column(
        "pipelines", sa.Column("overrides", ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False)
    )
    op.create_foreign_key(
        op.f("fk_pipelines_rerun_of_pipelines"),
        "pipelines",
        "pipelines",
        ["rerun_of"],
        ["id"],
        ondelete="SET NULL",
        postgresql_not_valid=True,
    )
    op.create_unique_constraint(op.f("uq_pipelines_client_key"), "pipelines", ["client_key"])
    op.create_index(op.f("ix_pipelines_rerun_of"), "pipelines", ["rerun_of"])
