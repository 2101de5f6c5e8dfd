"""The constraints of the engine hold for the rows that were there before them, too.

Looking at all rows takes no lock that readers or writers would wait for.
"""

from alembic import op

revision = "2026_11_25_validated"
down_revision = "2026_11_25_defaults"
branch_labels = None
depends_on = None

ADDED = (
    ("agent_runs", "failure_known"),
    ("agent_runs", "stopped_for_known"),
    ("agent_runs", "reported_failure_known"),
    ("phase_runs", "iterations_counted_from_one"),
    ("phase_runs", "stop_reason_known"),
    ("decisions", "default_is_an_option"),
    ("decisions", "kind_known"),
    ("decisions", "can_be_answered"),
)


def upgrade() -> None:
    for table, name in ADDED:
        op.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT ck_{table}_{name}")
