"""The tables of the first release."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "2026_11_21_first"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "nodes",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("capacity", sa.Integer(), nullable=False),
        sa.Column("heartbeat_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("capacity > 0", name=op.f("ck_nodes_capacity_positive")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_nodes")),
    )
    op.create_table(
        "pipelines",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("definition", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("work_commit", sa.Text(), nullable=True),
        sa.Column("published_commit", sa.Text(), nullable=True),
        sa.Column("base_commit", sa.Text(), nullable=True),
        sa.Column("tip_owner", sa.Text(), nullable=True),
        sa.Column("why", sa.Text(), nullable=True),
        sa.Column("send_after", sa.DateTime(timezone=True), nullable=True),
        sa.Column("preparations", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "id ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$' AND id !~ '\\.\\.'",
            name=op.f("ck_pipelines_id_well_formed"),
        ),
        sa.CheckConstraint(
            "status IN ('pending', 'running', 'awaiting_human', 'paused', 'complete', 'failed', 'cancelled')",
            name=op.f("ck_pipelines_status_known"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pipelines")),
    )
    op.create_index("ix_pipelines_created", "pipelines", ["created_at", "id"], unique=False)
    op.create_table(
        "events",
        sa.Column("pipeline_id", sa.Text(), nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("phase", sa.Text(), nullable=True),
        sa.Column("iteration", sa.Integer(), nullable=True),
        sa.Column("role", sa.Text(), nullable=True),
        sa.Column("agent_run_id", sa.Uuid(), nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("details", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["pipeline_id"], ["pipelines.id"], name=op.f("fk_events_pipeline_id_pipelines")
        ),
        sa.PrimaryKeyConstraint("pipeline_id", "id", name=op.f("pk_events")),
    )
    op.create_table(
        "message_streams",
        sa.Column("pipeline_id", sa.Text(), nullable=False),
        sa.Column("last_message_id", sa.BigInteger(), nullable=False),
        sa.Column("last_event_id", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["pipeline_id"], ["pipelines.id"], name=op.f("fk_message_streams_pipeline_id_pipelines")
        ),
        sa.PrimaryKeyConstraint("pipeline_id", name=op.f("pk_message_streams")),
    )
    op.create_table(
        "phase_runs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("pipeline_id", sa.Text(), nullable=False),
        sa.Column("phase", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("iteration", sa.Integer(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("stop_reason", sa.Text(), nullable=True),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("facts", sa.BigInteger(), nullable=False),
        sa.Column("evaluated_facts", sa.BigInteger(), nullable=False),
        sa.Column("evaluated_message", sa.BigInteger(), nullable=False),
        sa.Column("next_evaluation_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closing_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "status IN ('pending', 'running', 'awaiting_human', 'closing', 'complete', 'failed', 'cancelled', 'superseded')",
            name=op.f("ck_phase_runs_status_known"),
        ),
        sa.CheckConstraint(
            "stop_reason IN ('consensus', 'accepted')", name=op.f("ck_phase_runs_stop_reason_known")
        ),
        sa.ForeignKeyConstraint(
            ["pipeline_id"], ["pipelines.id"], name=op.f("fk_phase_runs_pipeline_id_pipelines")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_phase_runs")),
        sa.UniqueConstraint(
            "pipeline_id", "position", "iteration", name=op.f("uq_phase_runs_pipeline_id_position_iteration")
        ),
    )
    op.create_index(
        "ix_phase_runs_due",
        "phase_runs",
        ["next_evaluation_at"],
        unique=False,
        postgresql_where=sa.text("status IN ('awaiting_human', 'closing', 'pending', 'running')"),
    )
    op.create_index(
        "uq_phase_runs_live",
        "phase_runs",
        ["pipeline_id"],
        unique=True,
        postgresql_where=sa.text("status IN ('awaiting_human', 'closing', 'pending', 'running')"),
    )
    op.create_table(
        "agent_runs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("pipeline_id", sa.Text(), nullable=False),
        sa.Column("phase_run_id", sa.Uuid(), nullable=False),
        sa.Column("role", sa.Text(), nullable=True),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("causes", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("node", sa.Text(), nullable=True),
        sa.Column("lease_owner", sa.Text(), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("send_after", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sends", sa.Integer(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=True),
        sa.Column("owes_verdict", sa.Boolean(), nullable=False),
        sa.Column("stop_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.Column("exit_code", sa.Integer(), nullable=True),
        sa.Column("exit_signal", sa.Integer(), nullable=True),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("start_commit", sa.Text(), nullable=True),
        sa.Column("salvaged_commit", sa.Text(), nullable=True),
        sa.Column("last_active_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "closed_at IS NULL OR (status NOT IN ('queued', 'running', 'starting') AND lease_owner IS NULL)",
            name=op.f("ck_agent_runs_closed_is_over"),
        ),
        sa.CheckConstraint(
            "failure IN ('startup', 'process_failure', 'no_verdict', 'lost')",
            name=op.f("ck_agent_runs_failure_known"),
        ),
        sa.CheckConstraint(
            "status IN ('queued', 'starting', 'running', 'succeeded', 'failed', 'timed_out', 'cancelled', 'lost')",
            name=op.f("ck_agent_runs_status_known"),
        ),
        sa.CheckConstraint(
            "verdict IN ('WORKING', 'READY', 'BLOCKED', 'OBJECTING')",
            name=op.f("ck_agent_runs_verdict_known"),
        ),
        sa.CheckConstraint(
            "(lease_owner IS NULL) = (lease_until IS NULL)", name=op.f("ck_agent_runs_lease_whole")
        ),
        sa.ForeignKeyConstraint(
            ["phase_run_id"], ["phase_runs.id"], name=op.f("fk_agent_runs_phase_run_id_phase_runs")
        ),
        sa.ForeignKeyConstraint(
            ["pipeline_id"], ["pipelines.id"], name=op.f("fk_agent_runs_pipeline_id_pipelines")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agent_runs")),
    )
    op.create_index(
        "ix_agent_runs_pipeline_role", "agent_runs", ["pipeline_id", "role", "created_at"], unique=False
    )
    op.create_index(
        "ix_agent_runs_unclosed",
        "agent_runs",
        ["send_after"],
        unique=False,
        postgresql_where=sa.text("closed_at IS NULL"),
    )
    op.create_index(
        "uq_agent_runs_live_role",
        "agent_runs",
        ["phase_run_id", "role"],
        unique=True,
        postgresql_where=sa.text("status IN ('queued', 'running', 'starting')"),
        postgresql_nulls_not_distinct=True,
    )
    op.create_index(
        "uq_agent_runs_number",
        "agent_runs",
        ["phase_run_id", "role", "number"],
        unique=True,
        postgresql_nulls_not_distinct=True,
    )
    op.create_table(
        "decisions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("pipeline_id", sa.Text(), nullable=False),
        sa.Column("phase_run_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("options", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("default", sa.Text(), nullable=False),
        sa.Column("roles", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("resolution", sa.Text(), nullable=True),
        sa.Column("deadline", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(status IN ('defaulted', 'resolved')) = (resolution IS NOT NULL)",
            name=op.f("ck_decisions_answered_has_resolution"),
        ),
        sa.CheckConstraint(
            "kind IN ('failure', 'failures', 'stall', 'bound', 'check', 'abandoned', 'question')",
            name=op.f("ck_decisions_kind_known"),
        ),
        sa.CheckConstraint(
            "status IN ('pending', 'resolved', 'defaulted', 'cancelled')",
            name=op.f("ck_decisions_status_known"),
        ),
        sa.CheckConstraint('"default" = ANY (options)', name=op.f("ck_decisions_default_is_an_option")),
        sa.ForeignKeyConstraint(
            ["phase_run_id"], ["phase_runs.id"], name=op.f("fk_decisions_phase_run_id_phase_runs")
        ),
        sa.ForeignKeyConstraint(
            ["pipeline_id"], ["pipelines.id"], name=op.f("fk_decisions_pipeline_id_pipelines")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_decisions")),
        sa.UniqueConstraint("phase_run_id", "key", name=op.f("uq_decisions_phase_run_id_key")),
    )
    op.create_index("ix_decisions_pipeline", "decisions", ["pipeline_id", "id"], unique=False)
    op.create_table(
        "messages",
        sa.Column("pipeline_id", sa.Text(), nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("phase_run_id", sa.Uuid(), nullable=True),
        sa.Column("phase", sa.Text(), nullable=False),
        sa.Column("iteration", sa.Integer(), nullable=False),
        sa.Column("from_role", sa.Text(), nullable=False),
        sa.Column("to_role", sa.Text(), nullable=False),
        sa.Column("message_type", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("metadata", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("in_reply_to", sa.BigInteger(), nullable=True),
        sa.Column("client_key", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("char_length(subject) <= 200", name=op.f("ck_messages_subject_short")),
        sa.CheckConstraint("id > 0", name=op.f("ck_messages_id_counted_from_one")),
        sa.CheckConstraint("octet_length(body) <= 65536", name=op.f("ck_messages_body_within_64_kib")),
        sa.ForeignKeyConstraint(
            ["phase_run_id"], ["phase_runs.id"], name=op.f("fk_messages_phase_run_id_phase_runs")
        ),
        sa.ForeignKeyConstraint(
            ["pipeline_id"], ["pipelines.id"], name=op.f("fk_messages_pipeline_id_pipelines")
        ),
        sa.PrimaryKeyConstraint("pipeline_id", "id", name=op.f("pk_messages")),
    )
    op.create_index("ix_messages_recipient", "messages", ["pipeline_id", "to_role", "id"], unique=False)
    op.create_index(
        "ix_messages_waking",
        "messages",
        ["pipeline_id", "to_role", "id"],
        unique=False,
        postgresql_where=sa.text("message_type IN ('DIRECTIVE', 'HANDOFF', 'QUESTION', 'RESPONSE')"),
    )
    op.create_index(
        "ix_messages_waking_tip",
        "messages",
        ["pipeline_id", "id"],
        unique=False,
        postgresql_where=sa.text("message_type IN ('DIRECTIVE', 'HANDOFF', 'QUESTION', 'RESPONSE')"),
    )
    op.create_index(
        "uq_messages_client_key",
        "messages",
        ["pipeline_id", "from_role", "client_key"],
        unique=True,
        postgresql_where="client_key IS NOT NULL",
    )
    op.create_table(
        "seen",
        sa.Column("phase_run_id", sa.Uuid(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("other", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("at_verdict", sa.Integer(), nullable=False),
        sa.CheckConstraint("at_verdict <= number", name=op.f("ck_seen_verdict_within_seen")),
        sa.ForeignKeyConstraint(
            ["phase_run_id"], ["phase_runs.id"], name=op.f("fk_seen_phase_run_id_phase_runs")
        ),
        sa.PrimaryKeyConstraint("phase_run_id", "role", "other", name=op.f("pk_seen")),
    )
    op.create_table(
        "agent_tokens",
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("agent_run_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["agent_run_id"], ["agent_runs.id"], name=op.f("fk_agent_tokens_agent_run_id_agent_runs")
        ),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_agent_tokens")),
    )
    op.create_index(op.f("ix_agent_tokens_agent_run_id"), "agent_tokens", ["agent_run_id"], unique=False)
    op.create_table(
        "checks",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("phase_run_id", sa.Uuid(), nullable=False),
        sa.Column("commit", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("errors", sa.Integer(), nullable=False),
        sa.Column("agent_run_id", sa.Uuid(), nullable=True),
        sa.Column("log", sa.Text(), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "status IN ('running', 'green', 'red', 'error')", name=op.f("ck_checks_status_known")
        ),
        sa.ForeignKeyConstraint(
            ["agent_run_id"], ["agent_runs.id"], name=op.f("fk_checks_agent_run_id_agent_runs")
        ),
        sa.ForeignKeyConstraint(
            ["phase_run_id"], ["phase_runs.id"], name=op.f("fk_checks_phase_run_id_phase_runs")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_checks")),
        sa.UniqueConstraint("phase_run_id", "commit", name=op.f("uq_checks_phase_run_id_commit")),
    )
    op.create_index(
        "uq_checks_running",
        "checks",
        ["phase_run_id"],
        unique=True,
        postgresql_where=sa.text("status = 'running'"),
    )
    op.create_table(
        "objections",
        sa.Column("phase_run_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("from_role", sa.Text(), nullable=False),
        sa.Column("about_role", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("is_answered_in_words", sa.Boolean(), nullable=False),
        sa.Column("delivered_to", sa.Uuid(), nullable=True),
        sa.Column("upheld_over_words", sa.Integer(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "status IN ('open', 'answered', 'withdrawn', 'overruled')",
            name=op.f("ck_objections_status_known"),
        ),
        sa.CheckConstraint("from_role <> about_role", name=op.f("ck_objections_about_another")),
        sa.ForeignKeyConstraint(
            ["delivered_to"], ["agent_runs.id"], name=op.f("fk_objections_delivered_to_agent_runs")
        ),
        sa.ForeignKeyConstraint(
            ["phase_run_id"], ["phase_runs.id"], name=op.f("fk_objections_phase_run_id_phase_runs")
        ),
        sa.PrimaryKeyConstraint("phase_run_id", "number", name=op.f("pk_objections")),
    )
    op.create_index(
        "uq_objections_live",
        "objections",
        ["phase_run_id", "from_role", "about_role"],
        unique=True,
        postgresql_where=sa.text("status IN ('answered', 'open')"),
    )
    op.create_table(
        "roles",
        sa.Column("phase_run_id", sa.Uuid(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("blocked_on", sa.Text(), nullable=True),
        sa.Column("is_dropped", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("dispatched", sa.Integer(), nullable=False),
        sa.Column("runs", sa.Integer(), nullable=False),
        sa.Column("extra_rounds", sa.Integer(), nullable=False),
        sa.Column("owed_by_decision", sa.Integer(), nullable=True),
        sa.Column("cursor", sa.BigInteger(), nullable=False),
        sa.Column("handled_message", sa.BigInteger(), nullable=False),
        sa.Column("poll_key", sa.Text(), nullable=True),
        sa.Column("poll_began", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "state IN ('WORKING', 'READY', 'BLOCKED', 'OBJECTING')", name=op.f("ck_roles_state_known")
        ),
        sa.CheckConstraint(
            "blocked_on IS NULL OR blocked_on <> role", name=op.f("ck_roles_blocked_on_another")
        ),
        sa.CheckConstraint("handled_message <= cursor", name=op.f("ck_roles_handled_was_delivered")),
        sa.CheckConstraint(
            "version >= 0 AND runs >= 0 AND dispatched >= runs", name=op.f("ck_roles_counters_sane")
        ),
        sa.ForeignKeyConstraint(
            ["owed_by_decision"], ["decisions.id"], name=op.f("fk_roles_owed_by_decision_decisions")
        ),
        sa.ForeignKeyConstraint(
            ["phase_run_id"], ["phase_runs.id"], name=op.f("fk_roles_phase_run_id_phase_runs")
        ),
        sa.PrimaryKeyConstraint("phase_run_id", "role", name=op.f("pk_roles")),
    )
    op.create_table(
        "versions",
        sa.Column("phase_run_id", sa.Uuid(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("commit", sa.Text(), nullable=False),
        sa.Column("tree", sa.Text(), nullable=False),
        sa.Column("agent_run_id", sa.Uuid(), nullable=False),
        sa.Column("merge_status", sa.Text(), nullable=False),
        sa.Column("merge_commit", sa.Text(), nullable=True),
        sa.Column("conflict_paths", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("send_after", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("merged_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(merge_status = 'merged') = (merge_commit IS NOT NULL)",
            name=op.f("ck_versions_merged_has_commit"),
        ),
        sa.CheckConstraint(
            "merge_status IN ('pending', 'merging', 'merged', 'conflicted', 'superseded')",
            name=op.f("ck_versions_merge_status_known"),
        ),
        sa.CheckConstraint("number > 0", name=op.f("ck_versions_counted_from_one")),
        sa.ForeignKeyConstraint(
            ["agent_run_id"], ["agent_runs.id"], name=op.f("fk_versions_agent_run_id_agent_runs")
        ),
        sa.ForeignKeyConstraint(
            ["phase_run_id", "role"],
            ["roles.phase_run_id", "roles.role"],
            name=op.f("fk_versions_phase_run_id_role_roles"),
        ),
        sa.PrimaryKeyConstraint("phase_run_id", "role", "number", name=op.f("pk_versions")),
    )
    op.create_index(
        "uq_versions_merging",
        "versions",
        ["phase_run_id"],
        unique=True,
        postgresql_where=sa.text("merge_status = 'merging'"),
    )
