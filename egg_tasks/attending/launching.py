"""Launches: what a runner is given to start an agent run or a check."""

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.orm import Session

from egg_tasks import agent_tools, proof, run_places, secret_files, shell
from egg_tasks.attending import model_access
from egg_tasks.attending.set_up_caches import Ground
from egg_tasks.clock import utcnow
from egg_tasks.config import Settings
from egg_tasks.ports import Backend
from egg_tasks.prompts.prompt import render
from egg_tasks.services import credentials
from egg_tasks.services.agents import briefs, halts
from egg_tasks.services.engine import epochs, readiness_signals
from models.consensus.policy import Mode
from models.queries import agent_runs, phase_runs, pipelines, versions
from models.schemas.brief import Brief
from models.schemas.definition import Agent, Definition, Isolation
from models.schemas.git import Clone
from models.schemas.layout import Layout
from models.schemas.run import Launch
from models.schemas.set_up import CloneSetUp
from models.states import LIVE_RUNS
from models.tables import AgentRun, Pipeline, TokenKind

READABLE = ("HEAD", "refs", "packed-refs", "objects", "info")
"""What of a pipeline's repository a container has: its configuration may hold what is nobody's to read."""
BESIDE_PROXIES = {
    **dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1,localhost"),
    # Node does not ask proxies unless it is told to.
    "NODE_USE_ENV_PROXY": "1",
}


@dataclass(frozen=True)
class Opened:
    """The clone of a role's run, or the checkout of a check."""

    directory: Path
    """As we find it."""
    commit: str
    """What it was made of."""


@dataclass(frozen=True)
class WayOut:
    """What leads a program to the gateway."""

    environment: Mapping[str, str]
    secrets: dict[str, str]


NO_WAY = WayOut({}, {})


def work_commit(session: Session, *, run: AgentRun) -> str:
    """The tip of the work branch a run starts from."""
    commit = pipelines.get_pipeline(session, pipeline_id=run.pipeline_id).work_commit
    assert commit is not None, "nothing is dispatched before there is a repository"  # noqa: S101
    return commit


def of_agent(
    session: Session,
    *,
    run: AgentRun,
    backend: Backend,
    clone: Clone,
    layout: Layout,
    repository: Path,
    settings: Settings,
    seen: readiness_signals.Seen,
) -> Launch:
    """Make a role's launch: note what its clone has seen, hand over its brief, give it a new token.

    `Halted` when a halt was ordered since it was claimed, `NotSet` when what its agent takes is not here.
    """
    assert run.role is not None, "a check is launched otherwise"  # noqa: S101
    epoch = _locked(session, run, clone)
    phase_runs.mark_seen(session, phase_run_id=run.phase_run_id, role=run.role, versions=seen)
    brief = briefs.hand_over(session, run=run, lacking=clone.missing)
    agent_runs.remove_tokens(session, run_id=run.id, kind=TokenKind.SETUP)
    token = _new_token(session, run)
    agent, definition = _agent(session, run)
    command = backend.start(agent, prompt=render(brief), layout=layout)
    places, hidden = _taken(agent)
    path = hidden.pop("PATH", None) or places.pop("PATH", None) or agent.literals.get("PATH")
    isolation = definition.isolation_of(epoch.phase_run.position, run.role)
    goes_by_gateway = isolation.network is not None or isolation.container is not None
    hidden |= _secrets(agent, settings)
    models = model_access.of_agent(agent, layout=layout, settings=settings, token=token)
    plain = {**models.plain, **agent.literals, **places}
    return Launch(
        run_id=run.id,
        argv=command.argv,
        environment={
            **_environment(brief, {**plain, **command.environment}, definition, layout, settings),
            "PATH": _path(settings, layout, path or _others_path(layout, settings)),
            "EGG_HIDDEN": " ".join(sorted(hidden)),
            **(BESIDE_PROXIES if goes_by_gateway else {}),
            "EGG_CONCURRENT_MODE": "true" if epoch.policy.mode is Mode.CONCURRENT else "false",
        },
        secrets={**models.secret, **hidden, **(_proxies(layout, settings, token) if goes_by_gateway else {})},
        directory=layout.inside.directory,
        home=run_places.home_of(settings.home, run.pipeline_id, run.role),
        prompt=command.stdin,
        token=token,
        wake=agent.wake,
        container=isolation.container,
        labels=_labels(run, settings),
        reads=_readable(repository),
    )


def _locked(session: Session, run: AgentRun, clone: Clone) -> epochs.Epoch:
    """Its phase run, locked, with where its clone begins noted; refused where it is not to start any more."""
    halts.refuse(session)
    epoch = epochs.lock(session, phase_run_id=run.phase_run_id, now=utcnow())
    row = agent_runs.lock_agent_run(session, run_id=run.id)
    if row.status not in LIVE_RUNS:
        raise credentials.stale(row, epoch.phase_run, epoch.pipeline)
    row.start_commit = clone.head
    return epoch


def _new_token(session: Session, run: AgentRun, kind: TokenKind = TokenKind.AGENT) -> str:
    token = secrets.token_urlsafe(32)
    agent_runs.add_token(session, run_id=run.id, token_hash=proof.key_of(token), kind=kind)
    return token


def _readable(repository: Path) -> tuple[Path, ...]:
    return tuple(repository / name for name in READABLE)


def _taken(agent: Agent) -> tuple[dict[str, str], dict[str, str]]:
    """What an agent takes from the shell of `egg up`: what may be seen, being places, and what may not."""
    taken = {name: shell.value(source) for name, source in agent.taken.items()}
    places = {name: value for name, value in taken.items() if shell.is_place(value)}
    return places, {name: value for name, value in taken.items() if name not in places}


def _labels(run: AgentRun, settings: Settings) -> dict[str, str]:
    """What is written on a container, for whoever looks at the engine's."""
    return {
        "egg.pipeline.id": run.pipeline_id,
        "egg.phase_run.id": str(run.phase_run_id),
        "egg.agent.role": run.role or "",
        "egg.node": settings.node,
    }


def preparation(session: Session, *, run: AgentRun) -> CloneSetUp | None:
    """What makes a run's clone or checkout ready before it starts there; None where nothing does."""
    definition = pipelines.get_pipeline(session, pipeline_id=run.pipeline_id).definition
    phase_run = phase_runs.get_phase_run(session, phase_run_id=run.phase_run_id)
    return definition.preparation(phase_run.position, run.role)


def of_set_up(
    session: Session,
    *,
    run: AgentRun,
    preparation: CloneSetUp,
    opened: Opened,
    layout: Layout,
    repository: Path,
    is_begun: bool,
    settings: Settings,
) -> tuple[Launch, Ground]:
    """Make the launch of a run's set-up, and what its clone is made ready from.

    It finds what its agent finds that a definition may hold, nothing secret, and a token for hosts at most.
    """
    pipeline = pipelines.get_pipeline(session, pipeline_id=run.pipeline_id)
    phase_run = phase_runs.get_phase_run(session, phase_run_id=run.phase_run_id)
    definition, position = pipeline.definition, phase_run.position
    isolation = (
        definition.isolation_of(position, run.role) if run.role else definition.check_isolation(position)
    )
    literals = dict(definition.agent(position, run.role).literals) if run.role else {}
    path = literals.get("PATH") or _others_path(layout, settings)
    is_to_go_out = bool(preparation.network) and not is_begun
    way = _way_out(session, run, TokenKind.SETUP, layout, settings) if is_to_go_out else NO_WAY
    launch = Launch(
        run_id=run_places.set_up_of(run.id),
        argv=preparation.setup,
        environment={
            **_plain(layout, settings),
            **literals,
            "PATH": _path(settings, layout, path),
            **way.environment,
        },
        secrets=way.secrets,
        goes_out=bool(way.secrets),
        directory=layout.inside.directory,
        clone_of=run.id,
        home=run_places.home_of(settings.home, run.pipeline_id, run.role) if run.role else None,
        container=isolation.container,
        labels=_labels(run, settings),
        reads=_readable(repository),
    )
    return launch, _ground(
        session, run=run, pipeline=pipeline, opened=opened, isolation=isolation, literals=literals
    )


def _ground(
    session: Session,
    *,
    run: AgentRun,
    pipeline: Pipeline,
    opened: Opened,
    isolation: Isolation,
    literals: Mapping[str, str],
) -> Ground:
    return Ground(
        pipeline.id,
        source=pipeline.definition.repo,
        directory=opened.directory,
        commit=opened.commit,
        base=pipeline.base_commit,
        isolation=_said(isolation),
        literals=literals,
        whose=json.dumps([pipeline.id, pipeline.created_at.isoformat(), run.role]) if run.role else "",
        is_untouched=run.role is None or agent_runs.find_run_before(session, run=run) is None,
    )


def _said(isolation: Isolation) -> str:
    """What of it decides what a set-up makes there: neither how much it may take nor its agent's hosts."""
    made = isolation.container
    return json.dumps([isolation.runs_as, *([made.image, made.runtime] if made else [])])


@dataclass(frozen=True)
class CheckToRun:
    """What a check's run is about."""

    commit: str
    command: str
    """For the shell."""
    isolation: Isolation


def check_to_run(session: Session, *, run: AgentRun) -> CheckToRun:
    """What a check is to be run on, and where; `Halted` when a halt was ordered."""
    halts.refuse(session)
    check = versions.find_running_check(session, phase_run_id=run.phase_run_id)
    phase_run = phase_runs.get_phase_run(session, phase_run_id=run.phase_run_id)
    pipeline = pipelines.get_pipeline(session, pipeline_id=run.pipeline_id)
    definition, position = pipeline.definition, phase_run.position
    rules = definition.phases[position].check
    assert check is not None, "a check's run exists for a running check"  # noqa: S101
    assert rules is not None, "a check runs where the phase has one"  # noqa: S101
    return CheckToRun(check.commit, rules.run, definition.check_isolation(position))


def of_check(
    session: Session,
    *,
    run: AgentRun,
    check: CheckToRun,
    layout: Layout,
    repository: Path,
    settings: Settings,
) -> Launch:
    """Make a check's launch: its command in a fresh checkout. It has a token for hosts at most."""
    agent_runs.remove_tokens(session, run_id=run.id, kind=TokenKind.SETUP)
    network = check.isolation.network
    way = _way_out(session, run, TokenKind.CHECK, layout, settings) if network else NO_WAY
    return Launch(
        run_id=run.id,
        argv=("sh", "-c", check.command),
        environment={**_plain(layout, settings), **way.environment},
        secrets=way.secrets,
        goes_out=bool(way.secrets),
        directory=layout.inside.directory,
        container=check.isolation.container,
        labels=_labels(run, settings),
        reads=_readable(repository),
    )


def _agent(session: Session, run: AgentRun) -> tuple[Agent, Definition]:
    pipeline = pipelines.get_pipeline(session, pipeline_id=run.pipeline_id)
    phase_run = phase_runs.get_phase_run(session, phase_run_id=run.phase_run_id)
    definition = pipeline.definition
    return definition.agent(phase_run.position, run.role or ""), definition


def _secrets(agent: Agent, settings: Settings) -> dict[str, str]:
    directory = settings.secrets_directory
    return {name: secret_files.value(directory, secret) for name, secret in agent.secret.items()}


def _plain(layout: Layout, settings: Settings) -> dict[str, str]:
    """What agents and checks find: the user's PATH and tools, and nothing of ours but `egg`."""
    return {
        "PATH": _path(settings, layout, _others_path(layout, settings)),
        "LANG": settings.language,
        "EGG_REPO_PATH": str(layout.inside.directory),
    }


def _others_path(layout: Layout, settings: Settings) -> str:
    """The PATH of whoever says none: this machine's, or that of the place it runs in."""
    return settings.agents_path if layout.inside.path is None else layout.inside.path


def _path(settings: Settings, layout: Layout, path: str) -> str:
    """A PATH behind the directory that holds `egg` alone, which is made unless it is there."""
    agent_tools.install(settings.home)
    return f"{layout.inside.tools}{os.pathsep}{path}"


def _way_out(session: Session, run: AgentRun, kind: TokenKind, layout: Layout, settings: Settings) -> WayOut:
    """How what is no agent goes out: by a token of its own, which opens nothing but its hosts."""
    return WayOut(BESIDE_PROXIES, _proxies(layout, settings, _new_token(session, run, kind)))


def _proxies(layout: Layout, settings: Settings, token: str) -> dict[str, str]:
    """What has programs go out by the gateway, which knows their run by the token: so these are secrets."""
    url = model_access.gateway_url(layout, settings).replace("://", f"://egg:{token}@", 1)
    # Some programs read the small ones, others the large.
    return dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), url)


def _environment(
    brief: Brief, given: Mapping[str, str], definition: Definition, layout: Layout, settings: Settings
) -> dict[str, str]:
    """What interface.md promises an agent, and nothing of ours."""
    person = {"NAME": brief.role, "EMAIL": f"{brief.role}@egg.localhost"}
    identity = {
        f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in person.items()
    }
    return {
        **_plain(layout, settings),
        **identity,
        **given,
        "EGG_ORCHESTRATOR_URL": layout.inside.api_url or settings.api_url,
        "EGG_PIPELINE_ID": brief.pipeline_id,
        "EGG_AGENT_ROLE": brief.role,
        "EGG_AGENT_RUN_ID": brief.run_id,
        "EGG_PHASE": brief.phase,
        "EGG_ITERATION": str(brief.iteration),
        "EGG_BRANCH": brief.branch,
        "EGG_PROMPT_FILE": str(layout.inside.prompt),
        "EGG_SIGNAL_FILE": str(layout.inside.signal),
        "EGG_SOFT_DEADLINE": brief.soft_deadline_at.isoformat() if brief.soft_deadline_at else "",
        "EGG_MESSAGE_POLL_INTERVAL": str(definition.config.message_poll_hint_seconds),
    }
