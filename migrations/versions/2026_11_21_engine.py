"""What the whole decision engine keeps: deadlines, results, free answers, notices, halts."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "2026_11_21_engine"
down_revision = "2026_11_21_first"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
FAILURES = (
    "'startup', 'process_failure', 'no_verdict', 'lost', 'quota', 'auth', 'network', 'context_overflow', "
    "'timeout', 'stopped'"
)
KINDS = (
    "'failure', 'failures', 'stall', 'bound', 'check', 'abandoned', 'question', 'deadline', 'gate', 'order'"
)


def upgrade() -> None:
    """Bring the tables of the first release up to this one."""
    _agent_runs()
    _phase_runs()
    _decisions()
    _required("pipelines", "extra_iterations", sa.Integer(), "0")
    _new_tables()


def _agent_runs() -> None:
    for name, kind in (
        ("stopped_for", sa.Text()),
        ("converge_at", MOMENT),
        ("reported_failure", sa.Text()),
        ("retry_at", MOMENT),
    ):
        op.add_column("agent_runs", sa.Column(name, kind, nullable=True))
    _required("agent_runs", "is_cut_short", sa.Boolean(), "false")
    op.drop_constraint("ck_agent_runs_failure_known", "agent_runs")
    for column in ("failure", "stopped_for", "reported_failure"):
        name = f"ck_agent_runs_{column}_known"
        _checked("agent_runs", name, f"{column} IN ({FAILURES})")


def _phase_runs() -> None:
    _required("phase_runs", "iterations_used", sa.Integer(), "1")
    _required("phase_runs", "feedback", postgresql.JSONB(astext_type=sa.Text()), "'{}'")
    for name in ("soft_deadline_at", "converge_at", "hard_deadline_at", "clock_stopped_at"):
        op.add_column("phase_runs", sa.Column(name, MOMENT, nullable=True))
    _checked("phase_runs", "ck_phase_runs_iterations_counted_from_one", "iterations_used > 0")
    op.drop_constraint("ck_phase_runs_stop_reason_known", "phase_runs")
    reasons = "'consensus', 'converged', 'accepted', 'max_iterations'"
    _checked("phase_runs", "ck_phase_runs_stop_reason_known", f"stop_reason IN ({reasons})")


def _decisions() -> None:
    op.alter_column("decisions", "default", nullable=True)
    _required("decisions", "is_free", sa.Boolean(), "false")
    _required("decisions", "asked_by", sa.Text(), "'orchestrator'")
    op.add_column("decisions", sa.Column("notify_after", MOMENT, nullable=True))
    _required("decisions", "notices", sa.Integer(), "0")
    # NULL is in no array, and in an empty one that is no longer unknown but false.
    op.drop_constraint("ck_decisions_default_is_an_option", "decisions")
    _checked(
        "decisions", "ck_decisions_default_is_an_option", '"default" IS NULL OR "default" = ANY (options)'
    )
    op.drop_constraint("ck_decisions_kind_known", "decisions")
    _checked("decisions", "ck_decisions_kind_known", f"kind IN ({KINDS})")
    _checked("decisions", "ck_decisions_can_be_answered", "is_free OR cardinality(options) > 0")
    op.create_index(
        "ix_decisions_deadline", "decisions", ["deadline"], postgresql_where=sa.text("status = 'pending'")
    )
    op.create_index(
        "ix_decisions_notify",
        "decisions",
        ["notify_after"],
        postgresql_where=sa.text("notify_after IS NOT NULL"),
    )


def _new_tables() -> None:
    op.create_table(
        "results",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("pipeline_id", sa.Text(), nullable=False),
        sa.Column("phase_run_id", sa.Uuid(), nullable=False),
        sa.Column("agent_run_id", sa.Uuid(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("parse_status", sa.Text(), nullable=False),
        sa.Column("raw", sa.Text(), nullable=False),
        sa.Column("fields", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.CheckConstraint(
            "parse_status IN ('submitted', 'parsed', 'invalid', 'missing')",
            name=op.f("ck_results_parse_status_known"),
        ),
        sa.ForeignKeyConstraint(["pipeline_id"], ["pipelines.id"], name="fk_results_pipeline_id_pipelines"),
        sa.ForeignKeyConstraint(
            ["phase_run_id"], ["phase_runs.id"], name="fk_results_phase_run_id_phase_runs"
        ),
        sa.ForeignKeyConstraint(
            ["agent_run_id"], ["agent_runs.id"], name="fk_results_agent_run_id_agent_runs"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_results"),
    )
    op.create_index("ix_results_agent_run_id", "results", ["agent_run_id"])
    op.create_index("ix_results_role", "results", ["phase_run_id", "role", "id"])
    op.create_table(
        "halts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("ordered_at", MOMENT, nullable=False),
        sa.Column("lifted_at", MOMENT, nullable=True),
        sa.CheckConstraint("lifted_at >= ordered_at", name=op.f("ck_halts_lifted_after_ordered")),
        sa.PrimaryKeyConstraint("id", name="pk_halts"),
    )
    op.create_index(
        "uq_halts_standing",
        "halts",
        [sa.text("(true)")],
        unique=True,
        postgresql_where=sa.text("lifted_at IS NULL"),
    )


def _required(table: str, name: str, kind: sa.types.TypeEngine[Any], value: str) -> None:
    """Add a column that is never empty; rows there already get *value*, and those of the release before."""
    op.add_column(table, sa.Column(name, kind, nullable=False, server_default=sa.text(value)))


def _checked(table: str, name: str, condition: str) -> None:
    """Add a constraint for what is written from now on; `2026_11_25_validated` looks at the rows there."""
    op.create_check_constraint(op.f(name), table, condition, postgresql_not_valid=True)
