"""What agents reach by the gateway is noted."""

import sqlalchemy as sa
from alembic import op

revision = "2026_11_26_egress"
down_revision = "2026_11_26_tries"
branch_labels = None
depends_on = None

PASSAGES = "'allowed', 'observed', 'refused'"


def upgrade() -> None:
    op.create_table(
        "egress",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("agent_run_id", sa.Uuid(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("port", sa.Integer(), nullable=False),
        sa.Column("passage", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(f"passage IN ({PASSAGES})", name=op.f("ck_egress_passage_known")),
        sa.CheckConstraint("number > 0", name=op.f("ck_egress_number_positive")),
        sa.ForeignKeyConstraint(
            ["agent_run_id"],
            ["agent_runs.id"],
            name=op.f("fk_egress_agent_run_id_agent_runs"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_egress")),
    )
    columns = ["agent_run_id", "host", "port", "passage", "why"]
    op.create_index("uq_egress_host", "egress", columns, unique=True)
