"""What pipelines and agent runs have used of what they may store; it is counted from here on."""

import sqlalchemy as sa
from alembic import op

revision = "2026_11_25_quotas"
down_revision = "2026_11_25_proof"
branch_labels = None
depends_on = None

QUOTA = str(256 * 1024 * 1024)


def upgrade() -> None:
    op.add_column(
        "message_streams",
        sa.Column("stored_bytes", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
    )
    op.add_column(
        "message_streams", sa.Column("quota", sa.BigInteger(), nullable=False, server_default=QUOTA)
    )
    op.add_column("message_streams", sa.Column("refused_at", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "run_shares",
        sa.Column("agent_run_id", sa.Uuid(), nullable=False),
        sa.Column("share", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("refused_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["agent_run_id"], ["agent_runs.id"], name=op.f("fk_run_shares_agent_run_id_agent_runs")
        ),
        sa.PrimaryKeyConstraint("agent_run_id", "share", name=op.f("pk_run_shares")),
    )
