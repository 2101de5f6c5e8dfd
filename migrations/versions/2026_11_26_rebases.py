"""The present base of a repository may come into a pipeline that runs."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "2026_11_26_rebases"
down_revision = "2026_11_26_lineage_validated"
branch_labels = None
depends_on = None

STATES = "'pending', 'merging', 'merged', 'conflicted', 'failed', 'cancelled'"
LIVE = sa.text("status IN ('conflicted', 'merging', 'pending')")
KINDS = (
    "'failure', 'failures', 'stall', 'bound', 'check', 'abandoned', 'question', 'deadline', 'gate', 'rebase', "
    "'order'"
)


def upgrade() -> None:
    op.create_table(
        "rebases",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("pipeline_id", sa.Text(), nullable=False),
        sa.Column("phase_run_id", sa.Uuid(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("commit", sa.Text(), nullable=True),
        sa.Column("merge_commit", sa.Text(), nullable=True),
        sa.Column("conflict_paths", ARRAY(sa.Text()), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("send_after", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(f"status IN ({STATES})", name=op.f("ck_rebases_status_known")),
        sa.CheckConstraint(
            "(status = 'merged') = (merge_commit IS NOT NULL) AND (status <> 'merged' OR commit IS NOT NULL)",
            name=op.f("ck_rebases_merged_has_commits"),
        ),
        sa.ForeignKeyConstraint(
            ["pipeline_id"],
            ["pipelines.id"],
            name=op.f("fk_rebases_pipeline_id_pipelines"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["phase_run_id"],
            ["phase_runs.id"],
            name=op.f("fk_rebases_phase_run_id_phase_runs"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rebases")),
    )
    op.create_index("ix_rebases_pipeline", "rebases", ["pipeline_id", "id"])
    op.create_index("uq_rebases_live", "rebases", ["pipeline_id"], unique=True, postgresql_where=LIVE)
    name = op.f("ck_decisions_kind_known")
    op.drop_constraint(name, "decisions")
    op.create_check_constraint(name, "decisions", f"kind IN ({KINDS})", postgresql_not_valid=True)
