"""What agents ask of models by the gateway is noted, and which keys are not asked with."""

import sqlalchemy as sa
from alembic import op

revision = "2026_11_26_model_requests"
down_revision = "2026_11_26_token_kinds_valid"
branch_labels = None
depends_on = None

USAGE = "'whole', 'part', 'none', 'unused'"
REASONS = "'auth', 'quota', 'capacity'"


def upgrade() -> None:
    op.create_table(
        "model_requests",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("agent_run_id", sa.Uuid(), nullable=False),
        sa.Column("node", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=True),
        sa.Column("http_status", sa.Integer(), nullable=True),
        sa.Column("usage", sa.Text(), nullable=False),
        sa.Column("input_tokens", sa.Integer(), nullable=True),
        sa.Column("cache_read_tokens", sa.Integer(), nullable=True),
        sa.Column("cache_write_tokens", sa.Integer(), nullable=True),
        sa.Column("output_tokens", sa.Integer(), nullable=True),
        sa.Column("reasoning_tokens", sa.Integer(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("milliseconds", sa.Integer(), nullable=True),
        sa.Column("money", sa.Numeric(), nullable=True),
        sa.Column("price_version", sa.Text(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=True),
        sa.CheckConstraint(f"usage IN ({USAGE})", name=op.f("ck_model_requests_usage_known")),
        sa.ForeignKeyConstraint(
            ["agent_run_id"],
            ["agent_runs.id"],
            name=op.f("fk_model_requests_agent_run_id_agent_runs"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_model_requests")),
    )
    op.create_index(op.f("ix_model_requests_agent_run_id"), "model_requests", ["agent_run_id"])
    op.create_index(
        "ix_model_requests_unended", "model_requests", ["node"], postgresql_where=sa.text("ended_at IS NULL")
    )
    op.create_table(
        "credential_holds",
        sa.Column("credential", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("http_status", sa.Integer(), nullable=False),
        sa.Column("strikes", sa.Integer(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(f"reason IN ({REASONS})", name=op.f("ck_credential_holds_reason_known")),
        sa.PrimaryKeyConstraint("credential", name=op.f("pk_credential_holds")),
    )
