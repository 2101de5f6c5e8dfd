"""The report at a pipeline's end: what it took, who disagreed, and where the work is."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

from cli import formatting, typed, work_branch
from egg_tasks.client import Client, Json
from models.foreign import Shown, flat, indented, one_line, page
from models.git_names import result_branch
from models.states import StopReason

Lines = Sequence[str]
ANSWER = "answer with one of:"


def of(client: Client, name: str) -> Shown:
    """Bring the work of a complete pipeline home, ask for everything the report needs, and write it."""
    pipeline = client.get(f"/pipelines/{name}")["pipeline"]
    phases = client.get(f"/pipelines/{name}/phases")["phases"]
    messages = client.get(f"/pipelines/{name}/messages/status")
    return write(pipeline, phases, messages, where=work_branch.bring(pipeline), now=datetime.now(UTC))


def document(client: Client, name: str) -> Json:
    """Bring the work home, and return what the report is made of, and who is asked what."""
    pipeline = client.get(f"/pipelines/{name}")["pipeline"]
    asked = client.get(f"/pipelines/{name}/decisions", {"status": "pending"})["decisions"]
    return {
        "pipeline": pipeline,
        "phases": client.get(f"/pipelines/{name}/phases")["phases"],
        "messages": client.get(f"/pipelines/{name}/messages/status"),
        "pending_decisions": asked,
        "where": work_branch.bring(pipeline),
    }


def write(pipeline: Json, phases: Sequence[Json], messages: Json, *, where: str = "", now: datetime) -> Shown:
    """The report as text, the same on a terminal and in a log; *where* says where the work is."""
    failed = [failures(pipeline.get("failures") or [])] if pipeline.get("failures") else []
    parts = [_headline(pipeline, now=now), failed, _phase_lines(phases, now=now), _talk(messages)]
    parts += [_lacks(phases), _results(phases), _objections(phases), _versions(phases)]
    parts += [_unchanged(pipeline), [leftovers(pipeline)], [where], _more(pipeline, phases)]
    told = (part for part in parts if any(part))
    return page(["", *(line for part in told for line in (*part, ""))])


def question(asked: Json) -> Shown:
    """What a person is asked, what those it is about wrote last, and the commands that answer."""
    head = f"decision {asked['id']}{formatting.asker(asked)}: {flat(asked['question'])}"
    failed = [line for one in asked.get("failures") or [] for line in wrote(one, but=asked["question"])]
    ways = (f"  {line}" for line in [*formatting.answers(asked), *formatting.after_a_mend(asked)])
    return page([head, *failed, ANSWER, *ways])


def failures(found: Sequence[Json]) -> Shown:
    """The runs that failed: how, what each wrote last, and the command that shows the rest."""
    return page(line for one in found for line in (str(one["said"]), *wrote(one)))


def wrote(failed: Json, *, but: str = "") -> Lines:
    """The last lines of a failed run's output, each behind a mark of ours, and how to see the rest.

    One line alone, with which *but* ends, is not said again.
    """
    tail = failed.get("log_tail") or []
    who = f"{failed.get('role') or 'check'} (run {failed['number']})"
    rest = f"  all it wrote: {typed.hint(failed['logs'])}"
    if len(tail) == 1 and but.endswith(tail[0]):
        return [rest]
    return [f"  {who} wrote last:", indented("\n".join(tail)), rest] if tail else [f"  {who} wrote nothing"]


def _headline(pipeline: Json, *, now: datetime) -> Lines:
    took = _between(pipeline.get("started_at"), pipeline.get("ended_at"), now=now)
    why = flat(pipeline.get("why"))
    head = f"{pipeline['id']}: {pipeline['status']}"
    lineage = formatting.lineage(pipeline)
    known = [f"{lineage[0].upper()}{lineage[1:]}."] if lineage else []
    known += [f"Run again as {', '.join(pipeline['reruns'])}."] if pipeline.get("reruns") else []
    rebase = pipeline.get("rebase") or {}
    known += [f"The base came in anew at {str(rebase['commit'])[:10]}."] if rebase.get("merge_commit") else []
    return [f"{head}{f' in {took}' if took else ''}{f' ({why})' if why else ''}", *known]


def _phase_lines(phases: Sequence[Json], *, now: datetime) -> Lines:
    """One line a phase run: how it ended, rounds, versions, objections, checks, time."""
    title = ("PHASE", "ENDED BY", "ROUNDS", "VERSIONS", "OBJECTIONS", "CHECKS", "TIME")
    return _aligned([title, *(_phase_row(phase, now=now) for phase in phases)]) if phases else []


def _phase_row(phase: Json, *, now: datetime) -> tuple[str, ...]:
    checks = Counter(check["status"] for check in phase.get("checks") or [])
    return (
        formatting.phase_name(phase["phase"], phase["iteration"]),
        str(phase.get("stop_reason") or phase["status"]),
        str(sum(role.get("rounds") or 0 for role in phase.get("roles") or [])),
        str(len(phase.get("versions") or [])),
        str(len(phase.get("objections") or [])),
        _counted(checks) or "-",
        _between(phase.get("started_at"), phase.get("ended_at"), now=now),
    )


def _talk(messages: Json) -> Lines:
    by_type = _counted(Counter(messages.get("by_type") or {}))
    return [f"Messages: {messages.get('total', 0)}{f' ({by_type})' if by_type else ''}"]


def _lacks(phases: Sequence[Json]) -> Lines:
    """Each phase run that was repeated until it converged: which one it was, and what it lacked."""
    lines = [
        f"  {formatting.phase_name(phase['phase'], phase['iteration'])}: "
        + formatting.iteration(phase["iterations_used"], phase["max_iterations"])
        + (f": {flat(phase['why'])}" if phase.get("ended_at") and phase.get("why") else "")
        for phase in phases
        if phase.get("max_iterations")
    ]
    return _titled("Iterations:", lines)


def _more(pipeline: Json, phases: Sequence[Json]) -> Lines:
    """How to go on where a phase ended without converging: an end is an end."""
    if not any(phase.get("stop_reason") == StopReason.MAX_ITERATIONS for phase in phases):
        return []
    again = f"egg pipeline rerun {pipeline['id']} --set base={result_branch(pipeline['id'])}"
    return [typed.hint(f"More iterations, from this work: {again}")]


def _results(phases: Sequence[Json]) -> Lines:
    """The result of each role that gave one, with its figures."""
    rows = [
        (
            f"  {formatting.phase_name(phase['phase'], phase['iteration'])}",
            result["role"],
            str(result["fields"].get("status")),
            formatting.figures(result["fields"]) or flat(result["fields"].get("summary")),
        )
        for phase in phases
        for result in phase.get("results") or []
    ]
    return _titled("Results:", _aligned(rows))


def _objections(phases: Sequence[Json]) -> Lines:
    """Each objection with its reason and how it went."""
    lines: list[str] = []
    for one in (one for phase in phases for one in phase.get("objections") or []):
        who = f"#{one['number']} {one['from_role']} on {one['about_role']} v{one['version']}"
        lines.append(f"  {who}, {one['status']}: {flat(one.get('reason'))}")
        if one.get("answer"):
            lines.append(f"     answer: {flat(one['answer'])}")
    return _titled("Objections:", lines)


def _versions(phases: Sequence[Json]) -> Lines:
    """Every version with its commit and what became of it."""
    rows = [
        (
            f"  {formatting.phase_name(phase['phase'], phase['iteration'])}",
            version["role"],
            f"v{version['number']}",
            str(version["commit"])[:10],
            str(version["merge_status"]),
            str(version.get("merge_commit") or "")[:10],
        )
        for phase in phases
        for version in phase.get("versions") or []
    ]
    return _titled("Versions:", _aligned(rows))


def _unchanged(pipeline: Json) -> Lines:
    """The versions that are merged and changed nothing: their work may be where nobody looked."""
    names = pipeline.get("unchanged") or []
    verb = "changes" if len(names) == 1 else "change"
    return [f"{', '.join(names)} {verb} nothing."] if names else []


def leftovers(answer: Json) -> Shown:
    """Work of runs that is merged nowhere, and where it is."""
    lines = [f"  {flat(one)}" for one in answer.get("leftovers") or []]
    return page(_titled("Left out of the work:", lines))


def _between(start: str | None, end: str | None, *, now: datetime) -> str:
    if not start:
        return ""
    until = datetime.fromisoformat(end) if end else now
    return formatting.duration((until - datetime.fromisoformat(start)).total_seconds())


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{number} {name}" for name, number in sorted(counts.items()))


def _titled(title: str, lines: Lines) -> Lines:
    """Lines under a title; nothing where there are none."""
    return [title, *lines] if lines else []


def _aligned(rows: Sequence[Sequence[str]]) -> Lines:
    """Rows in columns."""
    shown = [[one_line(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    return [
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in shown
    ]
