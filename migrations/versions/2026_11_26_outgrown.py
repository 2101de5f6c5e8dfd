"""A run may have failed because it took more of the disk, or of memory, than it may.

The names of before stay, so that the release before goes on writing them.
"""

from alembic import op

revision = "2026_11_26_outgrown"
down_revision = "2026_11_26_held_up"
branch_labels = None
depends_on = None

FAILURES = (
    "'startup', 'setup', 'program_missing', 'missing_config', 'process_failure', 'no_verdict', 'lost', 'quota', "
    "'auth', 'network', 'context_overflow', 'timeout', 'disk', 'out_of_memory', 'stopped'"
)


def upgrade() -> None:
    for column in ("failure", "stopped_for", "reported_failure"):
        name = op.f(f"ck_agent_runs_{column}_known")
        op.drop_constraint(name, "agent_runs")
        condition = f"{column} IN ({FAILURES})"
        op.create_check_constraint(name, "agent_runs", condition, postgresql_not_valid=True)
