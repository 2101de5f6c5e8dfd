--
-- PostgreSQL database dump
--

\restrict IrveIsCxctGU3QmYlUyPal4FylwYO7h8VURIRyFctvSHvVxACbcfIWrn4hHJK0Z

-- Dumped from database version 18.4
-- Dumped by pg_dump version 18.4

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET transaction_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

--
-- Name: egg; Type: SCHEMA; Schema: -; Owner: -
--

CREATE SCHEMA egg;


SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: agent_runs; Type: TABLE; Schema: egg; Owner: -
--

CREATE TABLE egg.agent_runs (
    id uuid NOT NULL,
    pipeline_id text NOT NULL,
    phase_run_id uuid NOT NULL,
    role text,
    number integer NOT NULL,
    status text NOT NULL,
    causes text[] NOT NULL,
    node text,
    lease_owner text,
    lease_until timestamp with time zone,
    send_after timestamp with time zone NOT NULL,
    sends integer NOT NULL,
    verdict text,
    owes_verdict boolean NOT NULL,
    stop_at timestamp with time zone,
    failure text,
    exit_code integer,
    exit_signal integer,
    error text NOT NULL,
    start_commit text,
    salvaged_commit text,
    last_active_at timestamp with time zone,
    created_at timestamp with time zone NOT NULL,
    started_at timestamp with time zone,
    ended_at timestamp with time zone,
    closed_at timestamp with time zone,
    stopped_for text,
    converge_at timestamp with time zone,
    reported_failure text,
    retry_at timestamp with time zone,
    is_cut_short boolean DEFAULT false NOT NULL,
    refused_at timestamp with time zone,
    set_aside text,
    kept_paths text[],
    tries integer DEFAULT 0 NOT NULL,
    progress text,
    progress_percent integer,
    progressed_at timestamp with time zone,
    clone_kept_at timestamp with time zone,
    clone_removed_at timestamp with time zone,
    log_tail text DEFAULT ''::text NOT NULL,
    CONSTRAINT ck_agent_runs_closed_is_over CHECK (((closed_at IS NULL) OR ((status <> ALL (ARRAY['queued'::text, 'running'::text, 'starting'::text])) AND (lease_owner IS NULL)))),
    CONSTRAINT ck_agent_runs_failure_known CHECK ((failure = ANY (ARRAY['startup'::text, 'program_missing'::text, 'missing_config'::text, 'process_failure'::text, 'no_verdict'::text, 'lost'::text, 'quota'::text, 'auth'::text, 'network'::text, 'context_overflow'::text, 'timeout'::text, 'stopped'::text]))),
    CONSTRAINT ck_agent_runs_lease_whole CHECK (((lease_owner IS NULL) = (lease_until IS NULL))),
    CONSTRAINT ck_agent_runs_reported_failure_known CHECK ((reported_failure = ANY (ARRAY['startup'::text, 'program_missing'::text, 'missing_config'::text, 'process_failure'::text, 'no_verdict'::text, 'lost'::text, 'quota'::text, 'auth'::text, 'network'::text, 'context_overflow'::text, 'timeout'::text, 'stopped'::text]))),
    CONSTRAINT ck_agent_runs_status_known CHECK ((status = ANY (ARRAY['queued'::text, 'starting'::text, 'running'::text, 'succeeded'::text, 'failed'::text, 'timed_out'::text, 'cancelled'::text, 'lost'::text]))),
    CONSTRAINT ck_agent_runs_stopped_for_known CHECK ((stopped_for = ANY (ARRAY['startup'::text, 'program_missing'::text, 'missing_config'::text, 'process_failure'::text, 'no_verdict'::text, 'lost'::text, 'quota'::text, 'auth'::text, 'network'::text, 'context_overflow'::text, 'timeout'::text, 'stopped'::text]))),
    CONSTRAINT ck_agent_runs_verdict_known CHECK ((verdict = ANY (ARRAY['WORKING'::text, 'READY'::text, 'BLOCKED'::text, 'OBJECTING'::text])))
);


--
-- Name: agent_tokens; Type: TABLE; Schema: egg; Owner: -
--

CREATE TABLE egg.agent_tokens (
    hash bytea NOT NULL,
    agent_run_id uuid NOT NULL
);


--
-- Name: alembic_version; Type: TABLE; Schema: egg; Owner: -
--

CREATE TABLE egg.alembic_version (
    version_num character varying(32) NOT NULL
);


--
-- Name: checks; Type: TABLE; Schema: egg; Owner: -
--

CREATE TABLE egg.checks (
    id integer NOT NULL,
    phase_run_id uuid NOT NULL,
    commit text NOT NULL,
    status text NOT NULL,
    attempts integer NOT NULL,
    errors integer NOT NULL,
    agent_run_id uuid,
    log text NOT NULL,
    ended_at timestamp with time zone,
    CONSTRAINT ck_checks_status_known CHECK ((status = ANY (ARRAY['running'::text, 'green'::text, 'red'::text, 'error'::text])))
);


--
-- Name: checks_id_seq; Type: SEQUENCE; Schema: egg; Owner: -
--

CREATE SEQUENCE egg.checks_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: checks_id_seq; Type: SEQUENCE OWNED BY; Schema: egg; Owner: -
--

ALTER SEQUENCE egg.checks_id_seq OWNED BY egg.checks.id;


--
-- Name: clock; Type: TABLE; Schema: egg; Owner: -
--

CREATE TABLE egg.clock (
    id integer NOT NULL,
    ticked_at timestamp with time zone NOT NULL,
    CONSTRAINT ck_clock_only_one CHECK ((id = 1))
);


--
-- Name: decisions; Type: TABLE; Schema: egg; Owner: -
--

CREATE TABLE egg.decisions (
    id integer NOT NULL,
    pipeline_id text NOT NULL,
    phase_run_id uuid NOT NULL,
    key text NOT NULL,
    kind text NOT NULL,
    question text NOT NULL,
    options text[] NOT NULL,
    "default" text,
    roles text[] NOT NULL,
    status text NOT NULL,
    resolution text,
    deadline timestamp with time zone,
    created_at timestamp with time zone NOT NULL,
    resolved_at timestamp with time zone,
    is_free boolean DEFAULT false NOT NULL,
    asked_by text DEFAULT 'orchestrator'::text NOT NULL,
    notify_after timestamp with time zone,
    notices integer DEFAULT 0 NOT NULL,
    CONSTRAINT ck_decisions_answered_has_resolution CHECK (((status = ANY (ARRAY['defaulted'::text, 'resolved'::text])) = (resolution IS NOT NULL))),
    CONSTRAINT ck_decisions_can_be_answered CHECK ((is_free OR (cardinality(options) > 0))),
    CONSTRAINT ck_decisions_default_is_an_option CHECK ((("default" IS NULL) OR ("default" = ANY (options)))),
    CONSTRAINT ck_decisions_kind_known CHECK ((kind = ANY (ARRAY['failure'::text, 'failures'::text, 'stall'::text, 'bound'::text, 'check'::text, 'abandoned'::text, 'question'::text, 'deadline'::text, 'gate'::text, 'rebase'::text, 'order'::text]))),
    CONSTRAINT ck_decisions_status_known CHECK ((status = ANY (ARRAY['pending'::text, 'resolved'::text, 'defaulted'::text, 'cancelled'::text])))
);


--
-- Name: decisions_id_seq; Type: SEQUENCE; Schema: egg; Owner: -
--

CREATE SEQUENCE egg.decisions_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: decisions_id_seq; Type: SEQUENCE OWNED BY; Schema: egg; Owner: -
--

ALTER SEQUENCE egg.decisions_id_seq OWNED BY egg.decisions.id;


--
-- Name: events; Type: TABLE; Schema: egg; Owner: -
--

CREATE TABLE egg.events (
    pipeline_id text NOT NULL,
    id bigint NOT NULL,
    type text NOT NULL,
    phase text,
    iteration integer,
    role text,
    agent_run_id uuid,
    text text NOT NULL,
    details jsonb NOT NULL,
    created_at timestamp with time zone NOT NULL
);


--
-- Name: halts; Type: TABLE; Schema: egg; Owner: -
--

CREATE TABLE egg.halts (
    id integer NOT NULL,
    why text NOT NULL,
    ordered_at timestamp with time zone NOT NULL,
    lifted_at timestamp with time zone,
    CONSTRAINT ck_halts_lifted_after_ordered CHECK ((lifted_at >= ordered_at))
);


--
-- Name: halts_id_seq; Type: SEQUENCE; Schema: egg; Owner: -
--

CREATE SEQUENCE egg.halts_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: halts_id_seq; Type: SEQUENCE OWNED BY; Schema: egg; Owner: -
--

ALTER SEQUENCE egg.halts_id_seq OWNED BY egg.halts.id;


--
-- Name: message_streams; Type: TABLE; Schema: egg; Owner: -
--

CREATE TABLE egg.message_streams (
    pipeline_id text NOT NULL,
    last_message_id bigint NOT NULL,
    last_event_id bigint NOT NULL,
    stored_bytes bigint DEFAULT 0 NOT NULL,
    quota bigint DEFAULT '268435456'::bigint NOT NULL,
    refused_at timestamp with time zone
);


--
-- Name: messages; Type: TABLE; Schema: egg; Owner: -
--

CREATE TABLE egg.messages (
    pipeline_id text NOT NULL,
    id bigint NOT NULL,
    phase_run_id uuid,
    phase text NOT NULL,
    iteration integer NOT NULL,
    from_role text NOT NULL,
    to_role text NOT NULL,
    message_type text NOT NULL,
    subject text NOT NULL,
    body text NOT NULL,
    metadata jsonb NOT NULL,
    in_reply_to bigint,
    client_key text,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT ck_messages_body_within_64_kib CHECK ((octet_length(body) <= 65536)),
    CONSTRAINT ck_messages_id_counted_from_one CHECK ((id > 0)),
    CONSTRAINT ck_messages_subject_short CHECK ((char_length(subject) <= 200))
);


--
-- Name: nodes; Type: TABLE; Schema: egg; Owner: -
--

CREATE TABLE egg.nodes (
    name text NOT NULL,
    capacity integer NOT NULL,
    heartbeat_at timestamp with time zone NOT NULL,
    CONSTRAINT ck_nodes_capacity_positive CHECK ((capacity > 0))
);


--
-- Name: objections; Type: TABLE; Schema: egg; Owner: -
--

CREATE TABLE egg.objections (
    phase_run_id uuid NOT NULL,
    number integer NOT NULL,
    from_role text NOT NULL,
    about_role text NOT NULL,
    version integer NOT NULL,
    reason text NOT NULL,
    status text NOT NULL,
    round integer NOT NULL,
    answer text NOT NULL,
    is_answered_in_words boolean NOT NULL,
    delivered_to uuid,
    upheld_over_words integer NOT NULL,
    opened_at timestamp with time zone NOT NULL,
    CONSTRAINT ck_objections_about_another CHECK ((from_role <> about_role)),
    CONSTRAINT ck_objections_status_known CHECK ((status = ANY (ARRAY['open'::text, 'answered'::text, 'withdrawn'::text, 'overruled'::text])))
);


--
-- Name: phase_runs; Type: TABLE; Schema: egg; Owner: -
--

CREATE TABLE egg.phase_runs (
    id uuid NOT NULL,
    pipeline_id text NOT NULL,
    phase text NOT NULL,
    "position" integer NOT NULL,
    iteration integer NOT NULL,
    status text NOT NULL,
    stop_reason text,
    why text NOT NULL,
    facts bigint NOT NULL,
    evaluated_facts bigint NOT NULL,
    evaluated_message bigint NOT NULL,
    next_evaluation_at timestamp with time zone,
    started_at timestamp with time zone NOT NULL,
    closing_at timestamp with time zone,
    ended_at timestamp with time zone,
    iterations_used integer DEFAULT 1 NOT NULL,
    feedback jsonb DEFAULT '{}'::jsonb NOT NULL,
    soft_deadline_at timestamp with time zone,
    converge_at timestamp with time zone,
    hard_deadline_at timestamp with time zone,
    clock_stopped_at timestamp with time zone,
    CONSTRAINT ck_phase_runs_iterations_counted_from_one CHECK ((iterations_used > 0)),
    CONSTRAINT ck_phase_runs_status_known CHECK ((status = ANY (ARRAY['pending'::text, 'running'::text, 'awaiting_human'::text, 'closing'::text, 'complete'::text, 'failed'::text, 'cancelled'::text, 'superseded'::text]))),
    CONSTRAINT ck_phase_runs_stop_reason_known CHECK ((stop_reason = ANY (ARRAY['consensus'::text, 'converged'::text, 'accepted'::text, 'max_iterations'::text])))
);


--
-- Name: pipelines; Type: TABLE; Schema: egg; Owner: -
--

CREATE TABLE egg.pipelines (
    id text NOT NULL,
    status text NOT NULL,
    definition jsonb NOT NULL,
    work_commit text,
    published_commit text,
    base_commit text,
    tip_owner text,
    why text,
    send_after timestamp with time zone,
    preparations integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    started_at timestamp with time zone,
    ended_at timestamp with time zone,
    extra_iterations integer DEFAULT 0 NOT NULL,
    deleted_at timestamp with time zone,
    rerun_of text,
    rerun_of_name text,
    file text,
    client_key text,
    overrides text[] DEFAULT '{}'::text[] NOT NULL,
    CONSTRAINT ck_pipelines_id_well_formed CHECK (((id ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$'::text) AND (id !~ '\.\.'::text))),
    CONSTRAINT ck_pipelines_status_known CHECK ((status = ANY (ARRAY['pending'::text, 'running'::text, 'awaiting_human'::text, 'paused'::text, 'complete'::text, 'failed'::text, 'cancelled'::text])))
);


--
-- Name: rebases; Type: TABLE; Schema: egg; Owner: -
--

CREATE TABLE egg.rebases (
    id integer NOT NULL,
    pipeline_id text NOT NULL,
    phase_run_id uuid,
    status text NOT NULL,
    commit text,
    merge_commit text,
    conflict_paths text[] NOT NULL,
    why text NOT NULL,
    tries integer NOT NULL,
    send_after timestamp with time zone,
    created_at timestamp with time zone NOT NULL,
    ended_at timestamp with time zone,
    CONSTRAINT ck_rebases_merged_has_commits CHECK ((((status = 'merged'::text) = (merge_commit IS NOT NULL)) AND ((status <> 'merged'::text) OR (commit IS NOT NULL)))),
    CONSTRAINT ck_rebases_status_known CHECK ((status = ANY (ARRAY['pending'::text, 'merging'::text, 'merged'::text, 'conflicted'::text, 'failed'::text, 'cancelled'::text])))
);


--
-- Name: rebases_id_seq; Type: SEQUENCE; Schema: egg; Owner: -
--

CREATE SEQUENCE egg.rebases_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: rebases_id_seq; Type: SEQUENCE OWNED BY; Schema: egg; Owner: -
--

ALTER SEQUENCE egg.rebases_id_seq OWNED BY egg.rebases.id;


--
-- Name: repairs; Type: TABLE; Schema: egg; Owner: -
--

CREATE TABLE egg.repairs (
    kind text NOT NULL,
    number bigint NOT NULL
);


--
-- Name: results; Type: TABLE; Schema: egg; Owner: -
--

CREATE TABLE egg.results (
    id integer NOT NULL,
    pipeline_id text NOT NULL,
    phase_run_id uuid NOT NULL,
    agent_run_id uuid NOT NULL,
    role text NOT NULL,
    parse_status text NOT NULL,
    raw text NOT NULL,
    fields jsonb NOT NULL,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT ck_results_parse_status_known CHECK ((parse_status = ANY (ARRAY['submitted'::text, 'parsed'::text, 'invalid'::text, 'missing'::text])))
);


--
-- Name: results_id_seq; Type: SEQUENCE; Schema: egg; Owner: -
--

CREATE SEQUENCE egg.results_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: results_id_seq; Type: SEQUENCE OWNED BY; Schema: egg; Owner: -
--

ALTER SEQUENCE egg.results_id_seq OWNED BY egg.results.id;


--
-- Name: roles; Type: TABLE; Schema: egg; Owner: -
--

CREATE TABLE egg.roles (
    phase_run_id uuid NOT NULL,
    role text NOT NULL,
    "position" integer NOT NULL,
    state text NOT NULL,
    reason text NOT NULL,
    blocked_on text,
    is_dropped boolean NOT NULL,
    version integer NOT NULL,
    dispatched integer NOT NULL,
    runs integer NOT NULL,
    extra_rounds integer NOT NULL,
    owed_by_decision integer,
    cursor bigint NOT NULL,
    handled_message bigint NOT NULL,
    poll_key text,
    poll_began bigint NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    CONSTRAINT ck_roles_blocked_on_another CHECK (((blocked_on IS NULL) OR (blocked_on <> role))),
    CONSTRAINT ck_roles_counters_sane CHECK (((version >= 0) AND (runs >= 0) AND (dispatched >= runs))),
    CONSTRAINT ck_roles_handled_was_delivered CHECK ((handled_message <= cursor)),
    CONSTRAINT ck_roles_state_known CHECK ((state = ANY (ARRAY['WORKING'::text, 'READY'::text, 'BLOCKED'::text, 'OBJECTING'::text])))
);


--
-- Name: run_shares; Type: TABLE; Schema: egg; Owner: -
--

CREATE TABLE egg.run_shares (
    agent_run_id uuid NOT NULL,
    share text NOT NULL,
    number integer NOT NULL,
    size bigint NOT NULL,
    began_at timestamp with time zone NOT NULL,
    refused_at timestamp with time zone
);


--
-- Name: seen; Type: TABLE; Schema: egg; Owner: -
--

CREATE TABLE egg.seen (
    phase_run_id uuid NOT NULL,
    role text NOT NULL,
    other text NOT NULL,
    number integer NOT NULL,
    at_verdict integer NOT NULL,
    CONSTRAINT ck_seen_verdict_within_seen CHECK ((at_verdict <= number))
);


--
-- Name: versions; Type: TABLE; Schema: egg; Owner: -
--

CREATE TABLE egg.versions (
    phase_run_id uuid NOT NULL,
    role text NOT NULL,
    number integer NOT NULL,
    commit text NOT NULL,
    tree text NOT NULL,
    agent_run_id uuid NOT NULL,
    merge_status text NOT NULL,
    merge_commit text,
    conflict_paths text[] NOT NULL,
    send_after timestamp with time zone,
    created_at timestamp with time zone NOT NULL,
    merged_at timestamp with time zone,
    tries integer DEFAULT 0 NOT NULL,
    CONSTRAINT ck_versions_counted_from_one CHECK ((number > 0)),
    CONSTRAINT ck_versions_merge_status_known CHECK ((merge_status = ANY (ARRAY['pending'::text, 'merging'::text, 'merged'::text, 'conflicted'::text, 'superseded'::text]))),
    CONSTRAINT ck_versions_merged_has_commit CHECK (((merge_status = 'merged'::text) = (merge_commit IS NOT NULL)))
);


--
-- Name: checks id; Type: DEFAULT; Schema: egg; Owner: -
--

ALTER TABLE ONLY egg.checks ALTER COLUMN id SET DEFAULT nextval('egg.checks_id_seq'::regclass);


--
-- Name: decisions id; Type: DEFAULT; Schema: egg; Owner: -
--

ALTER TABLE ONLY egg.decisions ALTER COLUMN id SET DEFAULT nextval('egg.decisions_id_seq'::regclass);


--
-- Name: halts id; Type: DEFAULT; Schema: egg; Owner: -
--

ALTER TABLE ONLY egg.halts ALTER COLUMN id SET DEFAULT nextval('egg.halts_id_seq'::regclass);


--
-- Name: rebases id; Type: DEFAULT; Schema: egg; Owner: -
--

ALTER TABLE ONLY egg.rebases ALTER COLUMN id SET DEFAULT nextval('egg.rebases_id_seq'::regclass);


--
-- Name: results id; Type: DEFAULT; Schema: egg; Owner: -
--

ALTER TABLE ONLY egg.results ALTER COLUMN id SET DEFAULT nextval('egg.results_id_seq'::regclass);


--
-- Data for Name: agent_runs; Type: TABLE DATA; Schema: egg; Owner: -
--

COPY egg.agent_runs (id, pipeline_id, phase_run_id, role, number, status, causes, node, lease_owner, lease_until, send_after, sends, verdict, owes_verdict, stop_at, failure, exit_code, exit_signal, error, start_commit, salvaged_commit, last_active_at, created_at, started_at, ended_at, closed_at, stopped_for, converge_at, reported_failure, retry_at, is_cut_short, refused_at, set_aside, kept_paths, tries, progress, progress_percent, progressed_at, clone_kept_at, clone_removed_at, log_tail) FROM stdin;
b2ae07ba-ea56-4a22-9fc5-f6a015f6aa85	left-behind	20a82a36-b112-4972-a64e-3276fb6ba5c7	documenter	1	succeeded	{first::0:0}	left-node	\N	\N	2026-11-26 04:44:13.629809+00	1	BLOCKED	t	2026-11-26 04:44:10.188789+00	\N	0	\N		6d788411423a6c97550f9552314054cc37452871	771d18b939e26fc39302c8905778f93e1918d822	2026-11-26 04:43:40.188789+00	2026-11-26 04:43:33.648365+00	2026-11-26 04:43:35.628651+00	2026-11-26 04:43:40.641424+00	2026-11-26 04:43:41.389865+00	\N	\N	\N	\N	f	\N	\N	{}	0	\N	\N	\N	\N	2026-11-26 04:43:43.672028+00	
162b69fc-4d31-472d-9342-7781c97a43fe	left-behind	20a82a36-b112-4972-a64e-3276fb6ba5c7	linter	1	lost	{first::0:0}	left-node	\N	\N	2026-11-26 04:44:15.796883+00	1	\N	t	\N	lost	\N	9		6d788411423a6c97550f9552314054cc37452871	\N	2026-11-26 04:43:34.916096+00	2026-11-26 04:43:33.648365+00	2026-11-26 04:43:35.709726+00	2026-11-26 04:43:43.355084+00	2026-11-26 04:43:43.877409+00	\N	\N	\N	\N	f	\N	\N	{}	0	\N	\N	\N	\N	2026-11-26 04:43:45.827039+00	
f2dd32d2-1e77-46dd-9405-9396435ae3b0	left-behind	20a82a36-b112-4972-a64e-3276fb6ba5c7	coder	1	succeeded	{first::0:0}	left-node	\N	\N	2026-11-26 04:44:11.425794+00	1	READY	t	2026-11-26 04:44:09.685352+00	\N	0	\N		6d788411423a6c97550f9552314054cc37452871	\N	2026-11-26 04:43:39.685352+00	2026-11-26 04:43:33.648365+00	2026-11-26 04:43:35.761097+00	2026-11-26 04:43:40.486061+00	2026-11-26 04:43:40.830881+00	\N	\N	\N	\N	f	\N	\N	{}	0	\N	\N	\N	\N	2026-11-26 04:43:41.555149+00	
fde7aa8e-c020-4451-a4b3-4c12f5ede5fc	left-behind	20a82a36-b112-4972-a64e-3276fb6ba5c7	tester	1	running	{first::0:0}	left-node	left-node/21797/4004011/927647be	2026-11-26 04:43:57.937877+00	2026-11-26 04:43:38.648365+00	0	\N	t	\N	\N	\N	\N		6d788411423a6c97550f9552314054cc37452871	\N	2026-11-26 04:43:35.068096+00	2026-11-26 04:43:33.648365+00	2026-11-26 04:43:35.885726+00	\N	\N	\N	\N	\N	\N	f	\N	\N	\N	0	\N	\N	\N	\N	\N	
\.


--
-- Data for Name: agent_tokens; Type: TABLE DATA; Schema: egg; Owner: -
--

COPY egg.agent_tokens (hash, agent_run_id) FROM stdin;
\\xa2b58c325ad69a2735b668e2d82cd9cb3a30d1d414d9fe1baf72b8fd49dfb7f0	b2ae07ba-ea56-4a22-9fc5-f6a015f6aa85
\\x3a454ef869b770c586aa3668da37e1b608b408e629411a7b2d39c73b003efcb5	162b69fc-4d31-472d-9342-7781c97a43fe
\\x7ed3edfa7ba605635b31e8bccf7346194f31d50e2567f58559e398ff4aa1b99e	f2dd32d2-1e77-46dd-9405-9396435ae3b0
\\xfe50d8450523fffec1acdc8bb57bd61c7842bd55e3b8996d8540f89c3f6fb155	fde7aa8e-c020-4451-a4b3-4c12f5ede5fc
\.


--
-- Data for Name: alembic_version; Type: TABLE DATA; Schema: egg; Owner: -
--

COPY egg.alembic_version (version_num) FROM stdin;
2026_11_26_rebases_validated
\.


--
-- Data for Name: checks; Type: TABLE DATA; Schema: egg; Owner: -
--

COPY egg.checks (id, phase_run_id, commit, status, attempts, errors, agent_run_id, log, ended_at) FROM stdin;
\.


--
-- Data for Name: clock; Type: TABLE DATA; Schema: egg; Owner: -
--

COPY egg.clock (id, ticked_at) FROM stdin;
1	2026-11-26 04:43:46.606561+00
\.


--
-- Data for Name: decisions; Type: TABLE DATA; Schema: egg; Owner: -
--

COPY egg.decisions (id, pipeline_id, phase_run_id, key, kind, question, options, "default", roles, status, resolution, deadline, created_at, resolved_at, is_free, asked_by, notify_after, notices) FROM stdin;
1	left-behind	20a82a36-b112-4972-a64e-3276fb6ba5c7	question:documenter:afabe1910761fb8c146773b691ccd31d	question	Which words?	{Short,Long}	Short	{}	pending	\N	\N	2026-11-26 04:43:37.480058+00	\N	f	documenter	2026-11-26 04:43:37.480058+00	0
\.


--
-- Data for Name: events; Type: TABLE DATA; Schema: egg; Owner: -
--

COPY egg.events (pipeline_id, id, type, phase, iteration, role, agent_run_id, text, details, created_at) FROM stdin;
left-behind	1	pipeline.created	\N	\N	\N	\N	pipeline left-behind is created	{}	2026-11-26 04:43:32.657952+00
left-behind	2	pipeline.started	\N	\N	\N	\N	pipeline left-behind starts	{}	2026-11-26 04:43:33.148347+00
left-behind	3	phase.started	work	1	\N	\N	work starts with coder, documenter, linter, tester	{}	2026-11-26 04:43:33.148347+00
left-behind	4	agent.queued	work	1	coder	f2dd32d2-1e77-46dd-9405-9396435ae3b0	coder (run 1) is due: first	{}	2026-11-26 04:43:33.648365+00
left-behind	5	agent.queued	work	1	documenter	b2ae07ba-ea56-4a22-9fc5-f6a015f6aa85	documenter (run 1) is due: first	{}	2026-11-26 04:43:33.648365+00
left-behind	6	agent.queued	work	1	linter	162b69fc-4d31-472d-9342-7781c97a43fe	linter (run 1) is due: first	{}	2026-11-26 04:43:33.648365+00
left-behind	7	agent.queued	work	1	tester	fde7aa8e-c020-4451-a4b3-4c12f5ede5fc	tester (run 1) is due: first	{}	2026-11-26 04:43:33.648365+00
left-behind	8	agent.started	work	1	documenter	b2ae07ba-ea56-4a22-9fc5-f6a015f6aa85	documenter (run 1) starts on left-node	{}	2026-11-26 04:43:35.628651+00
left-behind	9	agent.started	work	1	linter	162b69fc-4d31-472d-9342-7781c97a43fe	linter (run 1) starts on left-node	{}	2026-11-26 04:43:35.709726+00
left-behind	10	agent.started	work	1	coder	f2dd32d2-1e77-46dd-9405-9396435ae3b0	coder (run 1) starts on left-node	{}	2026-11-26 04:43:35.761097+00
left-behind	11	agent.started	work	1	tester	fde7aa8e-c020-4451-a4b3-4c12f5ede5fc	tester (run 1) starts on left-node	{}	2026-11-26 04:43:35.885726+00
left-behind	12	message.sent	work	1	coder	\N	coder to tester: Version one	{"subject": "Version one", "to_role": "tester", "from_role": "coder", "message_id": 1, "message_type": "HANDOFF"}	2026-11-26 04:43:37.573946+00
left-behind	13	decision.created	work	1	documenter	\N	decision 1, asked by documenter: Which words?	{}	2026-11-26 04:43:37.480058+00
left-behind	14	readiness.changed	work	1	coder	f2dd32d2-1e77-46dd-9405-9396435ae3b0	coder is READY at version 1	{"state": "READY", "version": 1}	2026-11-26 04:43:39.685352+00
left-behind	15	branch.merged	work	1	coder	\N	coder's version 1 is merged	{}	2026-11-26 04:43:40.121812+00
left-behind	16	readiness.changed	work	1	documenter	b2ae07ba-ea56-4a22-9fc5-f6a015f6aa85	documenter is BLOCKED: waits for a person	{"state": "BLOCKED", "version": 0}	2026-11-26 04:43:40.188789+00
left-behind	17	agent.completed	work	1	coder	f2dd32d2-1e77-46dd-9405-9396435ae3b0	coder (run 1) ended after READY	{}	2026-11-26 04:43:40.830881+00
left-behind	18	agent.completed	work	1	documenter	b2ae07ba-ea56-4a22-9fc5-f6a015f6aa85	documenter (run 1) ended after BLOCKED	{}	2026-11-26 04:43:41.389865+00
left-behind	19	agent.salvaged	work	1	documenter	b2ae07ba-ea56-4a22-9fc5-f6a015f6aa85	unpublished work of documenter (run 1): it is kept at 771d18b939	{}	2026-11-26 04:43:41.389865+00
left-behind	20	agent.lost	work	1	linter	162b69fc-4d31-472d-9342-7781c97a43fe	linter (run 1) was lost: killed by signal 9 (SIGKILL), often because there was not enough memory	{"run": "162b69fc-4d31-472d-9342-7781c97a43fe", "logs": "egg agent logs left-behind 162b69fc", "role": "linter", "said": "linter was lost (run 1): killed by signal 9 (SIGKILL), often because there was not enough memory", "number": 1, "signal": 9, "failure": "lost", "log_tail": [], "exit_code": null}	2026-11-26 04:43:43.877409+00
\.


--
-- Data for Name: halts; Type: TABLE DATA; Schema: egg; Owner: -
--

COPY egg.halts (id, why, ordered_at, lifted_at) FROM stdin;
\.


--
-- Data for Name: message_streams; Type: TABLE DATA; Schema: egg; Owner: -
--

COPY egg.message_streams (pipeline_id, last_message_id, last_event_id, stored_bytes, quota, refused_at) FROM stdin;
left-behind	1	20	1052	268435456	\N
\.


--
-- Data for Name: messages; Type: TABLE DATA; Schema: egg; Owner: -
--

COPY egg.messages (pipeline_id, id, phase_run_id, phase, iteration, from_role, to_role, message_type, subject, body, metadata, in_reply_to, client_key, created_at) FROM stdin;
left-behind	1	20a82a36-b112-4972-a64e-3276fb6ba5c7	work	1	coder	tester	HANDOFF	Version one	Look at done.txt.	{}	\N	b2446d06f19b33e306f628a0b74bbba0	2026-11-26 04:43:37.573946+00
\.


--
-- Data for Name: nodes; Type: TABLE DATA; Schema: egg; Owner: -
--

COPY egg.nodes (name, capacity, heartbeat_at) FROM stdin;
left-node	200	2026-11-26 04:43:34.31546+00
\.


--
-- Data for Name: objections; Type: TABLE DATA; Schema: egg; Owner: -
--

COPY egg.objections (phase_run_id, number, from_role, about_role, version, reason, status, round, answer, is_answered_in_words, delivered_to, upheld_over_words, opened_at) FROM stdin;
\.


--
-- Data for Name: phase_runs; Type: TABLE DATA; Schema: egg; Owner: -
--

COPY egg.phase_runs (id, pipeline_id, phase, "position", iteration, status, stop_reason, why, facts, evaluated_facts, evaluated_message, next_evaluation_at, started_at, closing_at, ended_at, iterations_used, feedback, soft_deadline_at, converge_at, hard_deadline_at, clock_stopped_at) FROM stdin;
20a82a36-b112-4972-a64e-3276fb6ba5c7	left-behind	work	0	1	running	\N	documenter is BLOCKED; linter was lost (run 1): killed by signal 9 (SIGKILL), often because there was not enough memory; tester is WORKING	8	8	1	2026-11-26 04:43:53.355084+00	2026-11-26 04:43:33.148347+00	\N	\N	1	{}	2026-11-26 05:13:33.648365+00	\N	\N	\N
\.


--
-- Data for Name: pipelines; Type: TABLE DATA; Schema: egg; Owner: -
--

COPY egg.pipelines (id, status, definition, work_commit, published_commit, base_commit, tip_owner, why, send_after, preparations, created_at, started_at, ended_at, extra_iterations, deleted_at, rerun_of, rerun_of_name, file, client_key, overrides) FROM stdin;
left-behind	running	{"base": null, "name": "left-behind", "repo": "/tmp/egg-c81vw7uk/repository", "agents": {"coder": {"wake": "none", "backend": "command", "command": ["sh", "-c", "[ -e done.txt ] || { echo done > done.txt; git add .; git commit -qm Done; }; egg message send --to tester --type HANDOFF --subject 'Version one' --body 'Look at done.txt.'; egg signal readiness --state READY"], "isolation": {"kind": "process"}, "environment": {"WAIT": {"from": "LEFT_WAIT"}}}, "linter": {"wake": "none", "backend": "command", "command": ["sh", "-c", "sleep \\"$WAIT\\"; egg signal readiness --state READY"], "isolation": {"kind": "process"}, "environment": {"WAIT": {"from": "LEFT_WAIT"}}}, "tester": {"wake": "none", "backend": "command", "command": ["sh", "-c", "sleep \\"$WAIT\\"; egg sync; egg signal readiness --state READY"], "isolation": {"kind": "process"}, "environment": {"WAIT": {"from": "LEFT_WAIT"}}}, "documenter": {"wake": "none", "backend": "command", "command": ["sh", "-c", "[ -e asked.txt ] && exec egg signal readiness --state READY; egg decision ask --question 'Which words?' --option Short --option Long --default Short; echo asked > asked.txt; git add .; git commit -qm Asked; egg signal readiness --state BLOCKED --reason 'waits for a person'"], "isolation": {"kind": "process"}, "environment": {"WAIT": {"from": "LEFT_WAIT"}}}}, "config": {"max_rounds": 20, "max_iterations": 5, "finalize_minutes": 3.0, "concurrent_execution": true, "max_concurrent_agents": 4, "verdict_grace_seconds": 30.0, "objection_grace_seconds": 20.0, "consensus_timeout_minutes": 30.0, "message_poll_hint_seconds": 30.0, "agent_idle_timeout_minutes": 60.0}, "phases": [{"gate": null, "mode": null, "name": "work", "check": null, "roles": [{"role": "coder", "agent": null, "needs": [], "reviews": [], "required": true, "on_failure": null}, {"role": "documenter", "agent": null, "needs": [], "reviews": [], "required": true, "on_failure": null}, {"role": "linter", "agent": null, "needs": [], "reviews": [], "required": true, "on_failure": null}, {"role": "tester", "agent": null, "needs": [], "reviews": ["coder"], "required": true, "on_failure": null}], "convergence": null}], "prompt": "Say that it is done.", "version": 1, "base_commit": "6d788411423a6c97550f9552314054cc37452871"}	793f4c118f430dce2462d3b856fe7b235484c636	793f4c118f430dce2462d3b856fe7b235484c636	6d788411423a6c97550f9552314054cc37452871	coder	\N	2026-11-26 04:43:54.202433+00	0	2026-11-26 04:43:32.657952+00	2026-11-26 04:43:33.148347+00	\N	0	\N	\N	\N	/tmp/egg-c81vw7uk/home/left.yaml	16d12a12313749d389578e46a6f77799	{"name=\\"left-behind\\""}
\.


--
-- Data for Name: rebases; Type: TABLE DATA; Schema: egg; Owner: -
--

COPY egg.rebases (id, pipeline_id, phase_run_id, status, commit, merge_commit, conflict_paths, why, tries, send_after, created_at, ended_at) FROM stdin;
\.


--
-- Data for Name: repairs; Type: TABLE DATA; Schema: egg; Owner: -
--

COPY egg.repairs (kind, number) FROM stdin;
publish_branches	1
\.


--
-- Data for Name: results; Type: TABLE DATA; Schema: egg; Owner: -
--

COPY egg.results (id, pipeline_id, phase_run_id, agent_run_id, role, parse_status, raw, fields, created_at) FROM stdin;
\.


--
-- Data for Name: roles; Type: TABLE DATA; Schema: egg; Owner: -
--

COPY egg.roles (phase_run_id, role, "position", state, reason, blocked_on, is_dropped, version, dispatched, runs, extra_rounds, owed_by_decision, cursor, handled_message, poll_key, poll_began, updated_at) FROM stdin;
20a82a36-b112-4972-a64e-3276fb6ba5c7	linter	2	WORKING		\N	f	0	1	1	0	\N	0	0	\N	0	2026-11-26 04:43:33.148347+00
20a82a36-b112-4972-a64e-3276fb6ba5c7	tester	3	WORKING		\N	f	0	1	1	0	\N	0	0	\N	0	2026-11-26 04:43:33.148347+00
20a82a36-b112-4972-a64e-3276fb6ba5c7	coder	0	READY		\N	f	1	1	1	0	\N	0	0	\N	0	2026-11-26 04:43:39.685352+00
20a82a36-b112-4972-a64e-3276fb6ba5c7	documenter	1	BLOCKED	waits for a person	\N	f	0	1	1	0	\N	0	0	\N	0	2026-11-26 04:43:40.188789+00
\.


--
-- Data for Name: run_shares; Type: TABLE DATA; Schema: egg; Owner: -
--

COPY egg.run_shares (agent_run_id, share, number, size, began_at, refused_at) FROM stdin;
f2dd32d2-1e77-46dd-9405-9396435ae3b0	messages	1	1052	2026-11-26 04:43:37.573946+00	\N
b2ae07ba-ea56-4a22-9fc5-f6a015f6aa85	questions	1	21	2026-11-26 04:43:37.480058+00	\N
f2dd32d2-1e77-46dd-9405-9396435ae3b0	ready	1	0	2026-11-26 04:43:39.242549+00	\N
b2ae07ba-ea56-4a22-9fc5-f6a015f6aa85	verdicts	1	18	2026-11-26 04:43:40.188789+00	\N
\.


--
-- Data for Name: seen; Type: TABLE DATA; Schema: egg; Owner: -
--

COPY egg.seen (phase_run_id, role, other, number, at_verdict) FROM stdin;
\.


--
-- Data for Name: versions; Type: TABLE DATA; Schema: egg; Owner: -
--

COPY egg.versions (phase_run_id, role, number, commit, tree, agent_run_id, merge_status, merge_commit, conflict_paths, send_after, created_at, merged_at, tries) FROM stdin;
20a82a36-b112-4972-a64e-3276fb6ba5c7	coder	1	4b93f7c479dd67996389bb7203919e5130ce4655	c04949668101c6e31b694a4063c6b8542f092bf5	f2dd32d2-1e77-46dd-9405-9396435ae3b0	merged	793f4c118f430dce2462d3b856fe7b235484c636	{}	2026-11-26 04:43:44.685352+00	2026-11-26 04:43:39.685352+00	2026-11-26 04:43:40.121812+00	0
\.


--
-- Name: checks_id_seq; Type: SEQUENCE SET; Schema: egg; Owner: -
--

SELECT pg_catalog.setval('egg.checks_id_seq', 1, false);


--
-- Name: decisions_id_seq; Type: SEQUENCE SET; Schema: egg; Owner: -
--

SELECT pg_catalog.setval('egg.decisions_id_seq', 1, true);


--
-- Name: halts_id_seq; Type: SEQUENCE SET; Schema: egg; Owner: -
--

SELECT pg_catalog.setval('egg.halts_id_seq', 1, false);


--
-- Name: rebases_id_seq; Type: SEQUENCE SET; Schema: egg; Owner: -
--

SELECT pg_catalog.setval('egg.rebases_id_seq', 1, false);


--
-- Name: results_id_seq; Type: SEQUENCE SET; Schema: egg; Owner: -
--

SELECT pg_catalog.setval('egg.results_id_seq', 1, false);


--
-- Name: alembic_version alembic_version_pkc; Type: CONSTRAINT; Schema: egg; Owner: -
--

ALTER TABLE ONLY egg.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);


--
-- Name: agent_runs pk_agent_runs; Type: CONSTRAINT; Schema: egg; Owner: -
--

ALTER TABLE ONLY egg.agent_runs
    ADD CONSTRAINT pk_agent_runs PRIMARY KEY (id);


--
-- Name: agent_tokens pk_agent_tokens; Type: CONSTRAINT; Schema: egg; Owner: -
--

ALTER TABLE ONLY egg.agent_tokens
    ADD CONSTRAINT pk_agent_tokens PRIMARY KEY (hash);


--
-- Name: checks pk_checks; Type: CONSTRAINT; Schema: egg; Owner: -
--

ALTER TABLE ONLY egg.checks
    ADD CONSTRAINT pk_checks PRIMARY KEY (id);


--
-- Name: clock pk_clock; Type: CONSTRAINT; Schema: egg; Owner: -
--

ALTER TABLE ONLY egg.clock
    ADD CONSTRAINT pk_clock PRIMARY KEY (id);


--
-- Name: decisions pk_decisions; Type: CONSTRAINT; Schema: egg; Owner: -
--

ALTER TABLE ONLY egg.decisions
    ADD CONSTRAINT pk_decisions PRIMARY KEY (id);


--
-- Name: events pk_events; Type: CONSTRAINT; Schema: egg; Owner: -
--

ALTER TABLE ONLY egg.events
    ADD CONSTRAINT pk_events PRIMARY KEY (pipeline_id, id);


--
-- Name: halts pk_halts; Type: CONSTRAINT; Schema: egg; Owner: -
--

ALTER TABLE ONLY egg.halts
    ADD CONSTRAINT pk_halts PRIMARY KEY (id);


--
-- Name: message_streams pk_message_streams; Type: CONSTRAINT; Schema: egg; Owner: -
--

ALTER TABLE ONLY egg.message_streams
    ADD CONSTRAINT pk_message_streams PRIMARY KEY (pipeline_id);


--
-- Name: messages pk_messages; Type: CONSTRAINT; Schema: egg; Owner: -
--

ALTER TABLE ONLY egg.messages
    ADD CONSTRAINT pk_messages PRIMARY KEY (pipeline_id, id);


--
-- Name: nodes pk_nodes; Type: CONSTRAINT; Schema: egg; Owner: -
--

ALTER TABLE ONLY egg.nodes
    ADD CONSTRAINT pk_nodes PRIMARY KEY (name);


--
-- Name: objections pk_objections; Type: CONSTRAINT; Schema: egg; Owner: -
--

ALTER TABLE ONLY egg.objections
    ADD CONSTRAINT pk_objections PRIMARY KEY (phase_run_id, number);


--
-- Name: phase_runs pk_phase_runs; Type: CONSTRAINT; Schema: egg; Owner: -
--

ALTER TABLE ONLY egg.phase_runs
    ADD CONSTRAINT pk_phase_runs PRIMARY KEY (id);


--
-- Name: pipelines pk_pipelines; Type: CONSTRAINT; Schema: egg; Owner: -
--

ALTER TABLE ONLY egg.pipelines
    ADD CONSTRAINT pk_pipelines PRIMARY KEY (id);


--
-- Name: rebases pk_rebases; Type: CONSTRAINT; Schema: egg; Owner: -
--

ALTER TABLE ONLY egg.rebases
    ADD CONSTRAINT pk_rebases PRIMARY KEY (id);


--
-- Name: repairs pk_repairs; Type: CONSTRAINT; Schema: egg; Owner: -
--

ALTER TABLE ONLY egg.repairs
    ADD CONSTRAINT pk_repairs PRIMARY KEY (kind);


--
-- Name: results pk_results; Type: CONSTRAINT; Schema: egg; Owner: -
--

ALTER TABLE ONLY egg.results
    ADD CONSTRAINT pk_results PRIMARY KEY (id);


--
-- Name: roles pk_roles; Type: CONSTRAINT; Schema: egg; Owner: -
--

ALTER TABLE ONLY egg.roles
    ADD CONSTRAINT pk_roles PRIMARY KEY (phase_run_id, role);


--
-- Name: run_shares pk_run_shares; Type: CONSTRAINT; Schema: egg; Owner: -
--

ALTER TABLE ONLY egg.run_shares
    ADD CONSTRAINT pk_run_shares PRIMARY KEY (agent_run_id, share);


--
-- Name: seen pk_seen; Type: CONSTRAINT; Schema: egg; Owner: -
--

ALTER TABLE ONLY egg.seen
    ADD CONSTRAINT pk_seen PRIMARY KEY (phase_run_id, role, other);


--
-- Name: versions pk_versions; Type: CONSTRAINT; Schema: egg; Owner: -
--

ALTER TABLE ONLY egg.versions
    ADD CONSTRAINT pk_versions PRIMARY KEY (phase_run_id, role, number);


--
-- Name: checks uq_checks_phase_run_id_commit; Type: CONSTRAINT; Schema: egg; Owner: -
--

ALTER TABLE ONLY egg.checks
    ADD CONSTRAINT uq_checks_phase_run_id_commit UNIQUE (phase_run_id, commit);


--
-- Name: decisions uq_decisions_phase_run_id_key; Type: CONSTRAINT; Schema: egg; Owner: -
--

ALTER TABLE ONLY egg.decisions
    ADD CONSTRAINT uq_decisions_phase_run_id_key UNIQUE (phase_run_id, key);


--
-- Name: phase_runs uq_phase_runs_pipeline_id_position_iteration; Type: CONSTRAINT; Schema: egg; Owner: -
--

ALTER TABLE ONLY egg.phase_runs
    ADD CONSTRAINT uq_phase_runs_pipeline_id_position_iteration UNIQUE (pipeline_id, "position", iteration);


--
-- Name: pipelines uq_pipelines_client_key; Type: CONSTRAINT; Schema: egg; Owner: -
--

ALTER TABLE ONLY egg.pipelines
    ADD CONSTRAINT uq_pipelines_client_key UNIQUE (client_key);


--
-- Name: ix_agent_runs_failed; Type: INDEX; Schema: egg; Owner: -
--

CREATE INDEX ix_agent_runs_failed ON egg.agent_runs USING btree (ended_at) WHERE (failure IS NOT NULL);


--
-- Name: ix_agent_runs_pipeline_role; Type: INDEX; Schema: egg; Owner: -
--

CREATE INDEX ix_agent_runs_pipeline_role ON egg.agent_runs USING btree (pipeline_id, role, created_at);


--
-- Name: ix_agent_runs_uncleared; Type: INDEX; Schema: egg; Owner: -
--

CREATE INDEX ix_agent_runs_uncleared ON egg.agent_runs USING btree (send_after) WHERE ((closed_at IS NOT NULL) AND (clone_kept_at IS NULL) AND (clone_removed_at IS NULL));


--
-- Name: ix_agent_runs_unclosed; Type: INDEX; Schema: egg; Owner: -
--

CREATE INDEX ix_agent_runs_unclosed ON egg.agent_runs USING btree (send_after) WHERE (closed_at IS NULL);


--
-- Name: ix_agent_tokens_agent_run_id; Type: INDEX; Schema: egg; Owner: -
--

CREATE INDEX ix_agent_tokens_agent_run_id ON egg.agent_tokens USING btree (agent_run_id);


--
-- Name: ix_agent_tokens_name; Type: INDEX; Schema: egg; Owner: -
--

CREATE INDEX ix_agent_tokens_name ON egg.agent_tokens USING btree (sha256(hash));


--
-- Name: ix_decisions_deadline; Type: INDEX; Schema: egg; Owner: -
--

CREATE INDEX ix_decisions_deadline ON egg.decisions USING btree (deadline) WHERE (status = 'pending'::text);


--
-- Name: ix_decisions_notify; Type: INDEX; Schema: egg; Owner: -
--

CREATE INDEX ix_decisions_notify ON egg.decisions USING btree (notify_after) WHERE (notify_after IS NOT NULL);


--
-- Name: ix_decisions_pipeline; Type: INDEX; Schema: egg; Owner: -
--

CREATE INDEX ix_decisions_pipeline ON egg.decisions USING btree (pipeline_id, id);


--
-- Name: ix_messages_recipient; Type: INDEX; Schema: egg; Owner: -
--

CREATE INDEX ix_messages_recipient ON egg.messages USING btree (pipeline_id, to_role, id);


--
-- Name: ix_messages_waking; Type: INDEX; Schema: egg; Owner: -
--

CREATE INDEX ix_messages_waking ON egg.messages USING btree (pipeline_id, to_role, id) WHERE (message_type = ANY (ARRAY['DIRECTIVE'::text, 'HANDOFF'::text, 'QUESTION'::text, 'RESPONSE'::text]));


--
-- Name: ix_messages_waking_tip; Type: INDEX; Schema: egg; Owner: -
--

CREATE INDEX ix_messages_waking_tip ON egg.messages USING btree (pipeline_id, id) WHERE (message_type = ANY (ARRAY['DIRECTIVE'::text, 'HANDOFF'::text, 'QUESTION'::text, 'RESPONSE'::text]));


--
-- Name: ix_phase_runs_due; Type: INDEX; Schema: egg; Owner: -
--

CREATE INDEX ix_phase_runs_due ON egg.phase_runs USING btree (next_evaluation_at) WHERE (status = ANY (ARRAY['awaiting_human'::text, 'closing'::text, 'pending'::text, 'running'::text]));


--
-- Name: ix_pipelines_created; Type: INDEX; Schema: egg; Owner: -
--

CREATE INDEX ix_pipelines_created ON egg.pipelines USING btree (created_at, id);


--
-- Name: ix_pipelines_rerun_of; Type: INDEX; Schema: egg; Owner: -
--

CREATE INDEX ix_pipelines_rerun_of ON egg.pipelines USING btree (rerun_of);


--
-- Name: ix_rebases_pipeline; Type: INDEX; Schema: egg; Owner: -
--

CREATE INDEX ix_rebases_pipeline ON egg.rebases USING btree (pipeline_id, id);


--
-- Name: ix_results_agent_run_id; Type: INDEX; Schema: egg; Owner: -
--

CREATE INDEX ix_results_agent_run_id ON egg.results USING btree (agent_run_id);


--
-- Name: ix_results_role; Type: INDEX; Schema: egg; Owner: -
--

CREATE INDEX ix_results_role ON egg.results USING btree (phase_run_id, role, id);


--
-- Name: uq_agent_runs_live_role; Type: INDEX; Schema: egg; Owner: -
--

CREATE UNIQUE INDEX uq_agent_runs_live_role ON egg.agent_runs USING btree (phase_run_id, role) NULLS NOT DISTINCT WHERE (status = ANY (ARRAY['queued'::text, 'running'::text, 'starting'::text]));


--
-- Name: uq_agent_runs_number; Type: INDEX; Schema: egg; Owner: -
--

CREATE UNIQUE INDEX uq_agent_runs_number ON egg.agent_runs USING btree (phase_run_id, role, number) NULLS NOT DISTINCT;


--
-- Name: uq_checks_running; Type: INDEX; Schema: egg; Owner: -
--

CREATE UNIQUE INDEX uq_checks_running ON egg.checks USING btree (phase_run_id) WHERE (status = 'running'::text);


--
-- Name: uq_halts_standing; Type: INDEX; Schema: egg; Owner: -
--

CREATE UNIQUE INDEX uq_halts_standing ON egg.halts USING btree ((true)) WHERE (lifted_at IS NULL);


--
-- Name: uq_messages_client_key; Type: INDEX; Schema: egg; Owner: -
--

CREATE UNIQUE INDEX uq_messages_client_key ON egg.messages USING btree (pipeline_id, from_role, client_key) WHERE (client_key IS NOT NULL);


--
-- Name: uq_objections_live; Type: INDEX; Schema: egg; Owner: -
--

CREATE UNIQUE INDEX uq_objections_live ON egg.objections USING btree (phase_run_id, from_role, about_role) WHERE (status = ANY (ARRAY['answered'::text, 'open'::text]));


--
-- Name: uq_phase_runs_live; Type: INDEX; Schema: egg; Owner: -
--

CREATE UNIQUE INDEX uq_phase_runs_live ON egg.phase_runs USING btree (pipeline_id) WHERE (status = ANY (ARRAY['awaiting_human'::text, 'closing'::text, 'pending'::text, 'running'::text]));


--
-- Name: uq_rebases_live; Type: INDEX; Schema: egg; Owner: -
--

CREATE UNIQUE INDEX uq_rebases_live ON egg.rebases USING btree (pipeline_id) WHERE (status = ANY (ARRAY['conflicted'::text, 'merging'::text, 'pending'::text]));


--
-- Name: uq_versions_merging; Type: INDEX; Schema: egg; Owner: -
--

CREATE UNIQUE INDEX uq_versions_merging ON egg.versions USING btree (phase_run_id) WHERE (merge_status = 'merging'::text);


--
-- Name: agent_runs fk_agent_runs_phase_run_id_phase_runs; Type: FK CONSTRAINT; Schema: egg; Owner: -
--

ALTER TABLE ONLY egg.agent_runs
    ADD CONSTRAINT fk_agent_runs_phase_run_id_phase_runs FOREIGN KEY (phase_run_id) REFERENCES egg.phase_runs(id);


--
-- Name: agent_runs fk_agent_runs_pipeline_id_pipelines; Type: FK CONSTRAINT; Schema: egg; Owner: -
--

ALTER TABLE ONLY egg.agent_runs
    ADD CONSTRAINT fk_agent_runs_pipeline_id_pipelines FOREIGN KEY (pipeline_id) REFERENCES egg.pipelines(id);


--
-- Name: agent_tokens fk_agent_tokens_agent_run_id_agent_runs; Type: FK CONSTRAINT; Schema: egg; Owner: -
--

ALTER TABLE ONLY egg.agent_tokens
    ADD CONSTRAINT fk_agent_tokens_agent_run_id_agent_runs FOREIGN KEY (agent_run_id) REFERENCES egg.agent_runs(id);


--
-- Name: checks fk_checks_agent_run_id_agent_runs; Type: FK CONSTRAINT; Schema: egg; Owner: -
--

ALTER TABLE ONLY egg.checks
    ADD CONSTRAINT fk_checks_agent_run_id_agent_runs FOREIGN KEY (agent_run_id) REFERENCES egg.agent_runs(id);


--
-- Name: checks fk_checks_phase_run_id_phase_runs; Type: FK CONSTRAINT; Schema: egg; Owner: -
--

ALTER TABLE ONLY egg.checks
    ADD CONSTRAINT fk_checks_phase_run_id_phase_runs FOREIGN KEY (phase_run_id) REFERENCES egg.phase_runs(id);


--
-- Name: decisions fk_decisions_phase_run_id_phase_runs; Type: FK CONSTRAINT; Schema: egg; Owner: -
--

ALTER TABLE ONLY egg.decisions
    ADD CONSTRAINT fk_decisions_phase_run_id_phase_runs FOREIGN KEY (phase_run_id) REFERENCES egg.phase_runs(id);


--
-- Name: decisions fk_decisions_pipeline_id_pipelines; Type: FK CONSTRAINT; Schema: egg; Owner: -
--

ALTER TABLE ONLY egg.decisions
    ADD CONSTRAINT fk_decisions_pipeline_id_pipelines FOREIGN KEY (pipeline_id) REFERENCES egg.pipelines(id);


--
-- Name: events fk_events_pipeline_id_pipelines; Type: FK CONSTRAINT; Schema: egg; Owner: -
--

ALTER TABLE ONLY egg.events
    ADD CONSTRAINT fk_events_pipeline_id_pipelines FOREIGN KEY (pipeline_id) REFERENCES egg.pipelines(id);


--
-- Name: message_streams fk_message_streams_pipeline_id_pipelines; Type: FK CONSTRAINT; Schema: egg; Owner: -
--

ALTER TABLE ONLY egg.message_streams
    ADD CONSTRAINT fk_message_streams_pipeline_id_pipelines FOREIGN KEY (pipeline_id) REFERENCES egg.pipelines(id);


--
-- Name: messages fk_messages_phase_run_id_phase_runs; Type: FK CONSTRAINT; Schema: egg; Owner: -
--

ALTER TABLE ONLY egg.messages
    ADD CONSTRAINT fk_messages_phase_run_id_phase_runs FOREIGN KEY (phase_run_id) REFERENCES egg.phase_runs(id);


--
-- Name: messages fk_messages_pipeline_id_pipelines; Type: FK CONSTRAINT; Schema: egg; Owner: -
--

ALTER TABLE ONLY egg.messages
    ADD CONSTRAINT fk_messages_pipeline_id_pipelines FOREIGN KEY (pipeline_id) REFERENCES egg.pipelines(id);


--
-- Name: objections fk_objections_delivered_to_agent_runs; Type: FK CONSTRAINT; Schema: egg; Owner: -
--

ALTER TABLE ONLY egg.objections
    ADD CONSTRAINT fk_objections_delivered_to_agent_runs FOREIGN KEY (delivered_to) REFERENCES egg.agent_runs(id);


--
-- Name: objections fk_objections_phase_run_id_phase_runs; Type: FK CONSTRAINT; Schema: egg; Owner: -
--

ALTER TABLE ONLY egg.objections
    ADD CONSTRAINT fk_objections_phase_run_id_phase_runs FOREIGN KEY (phase_run_id) REFERENCES egg.phase_runs(id);


--
-- Name: phase_runs fk_phase_runs_pipeline_id_pipelines; Type: FK CONSTRAINT; Schema: egg; Owner: -
--

ALTER TABLE ONLY egg.phase_runs
    ADD CONSTRAINT fk_phase_runs_pipeline_id_pipelines FOREIGN KEY (pipeline_id) REFERENCES egg.pipelines(id);


--
-- Name: pipelines fk_pipelines_rerun_of_pipelines; Type: FK CONSTRAINT; Schema: egg; Owner: -
--

ALTER TABLE ONLY egg.pipelines
    ADD CONSTRAINT fk_pipelines_rerun_of_pipelines FOREIGN KEY (rerun_of) REFERENCES egg.pipelines(id) ON DELETE SET NULL;


--
-- Name: rebases fk_rebases_phase_run_id_phase_runs; Type: FK CONSTRAINT; Schema: egg; Owner: -
--

ALTER TABLE ONLY egg.rebases
    ADD CONSTRAINT fk_rebases_phase_run_id_phase_runs FOREIGN KEY (phase_run_id) REFERENCES egg.phase_runs(id) ON DELETE CASCADE;


--
-- Name: rebases fk_rebases_pipeline_id_pipelines; Type: FK CONSTRAINT; Schema: egg; Owner: -
--

ALTER TABLE ONLY egg.rebases
    ADD CONSTRAINT fk_rebases_pipeline_id_pipelines FOREIGN KEY (pipeline_id) REFERENCES egg.pipelines(id) ON DELETE CASCADE;


--
-- Name: results fk_results_agent_run_id_agent_runs; Type: FK CONSTRAINT; Schema: egg; Owner: -
--

ALTER TABLE ONLY egg.results
    ADD CONSTRAINT fk_results_agent_run_id_agent_runs FOREIGN KEY (agent_run_id) REFERENCES egg.agent_runs(id);


--
-- Name: results fk_results_phase_run_id_phase_runs; Type: FK CONSTRAINT; Schema: egg; Owner: -
--

ALTER TABLE ONLY egg.results
    ADD CONSTRAINT fk_results_phase_run_id_phase_runs FOREIGN KEY (phase_run_id) REFERENCES egg.phase_runs(id);


--
-- Name: results fk_results_pipeline_id_pipelines; Type: FK CONSTRAINT; Schema: egg; Owner: -
--

ALTER TABLE ONLY egg.results
    ADD CONSTRAINT fk_results_pipeline_id_pipelines FOREIGN KEY (pipeline_id) REFERENCES egg.pipelines(id);


--
-- Name: roles fk_roles_owed_by_decision_decisions; Type: FK CONSTRAINT; Schema: egg; Owner: -
--

ALTER TABLE ONLY egg.roles
    ADD CONSTRAINT fk_roles_owed_by_decision_decisions FOREIGN KEY (owed_by_decision) REFERENCES egg.decisions(id);


--
-- Name: roles fk_roles_phase_run_id_phase_runs; Type: FK CONSTRAINT; Schema: egg; Owner: -
--

ALTER TABLE ONLY egg.roles
    ADD CONSTRAINT fk_roles_phase_run_id_phase_runs FOREIGN KEY (phase_run_id) REFERENCES egg.phase_runs(id);


--
-- Name: run_shares fk_run_shares_agent_run_id_agent_runs; Type: FK CONSTRAINT; Schema: egg; Owner: -
--

ALTER TABLE ONLY egg.run_shares
    ADD CONSTRAINT fk_run_shares_agent_run_id_agent_runs FOREIGN KEY (agent_run_id) REFERENCES egg.agent_runs(id);


--
-- Name: seen fk_seen_phase_run_id_phase_runs; Type: FK CONSTRAINT; Schema: egg; Owner: -
--

ALTER TABLE ONLY egg.seen
    ADD CONSTRAINT fk_seen_phase_run_id_phase_runs FOREIGN KEY (phase_run_id) REFERENCES egg.phase_runs(id);


--
-- Name: versions fk_versions_agent_run_id_agent_runs; Type: FK CONSTRAINT; Schema: egg; Owner: -
--

ALTER TABLE ONLY egg.versions
    ADD CONSTRAINT fk_versions_agent_run_id_agent_runs FOREIGN KEY (agent_run_id) REFERENCES egg.agent_runs(id);


--
-- Name: versions fk_versions_phase_run_id_role_roles; Type: FK CONSTRAINT; Schema: egg; Owner: -
--

ALTER TABLE ONLY egg.versions
    ADD CONSTRAINT fk_versions_phase_run_id_role_roles FOREIGN KEY (phase_run_id, role) REFERENCES egg.roles(phase_run_id, role);


--
-- PostgreSQL database dump complete
--

\unrestrict IrveIsCxctGU3QmYlUyPal4FylwYO7h8VURIRyFctvSHvVxACbcfIWrn4hHJK0Z

