"""egg result: what roles say they have done, as figures."""

import json
from collections.abc import Mapping

import click

from cli import formatting, options, paging, render, server
from cli.paging import Page
from egg_tasks.client import Json
from models.errors import Unprocessable

COLUMNS: render.Columns = {
    "PHASE": lambda result: formatting.phase_name(result["phase"], result["iteration"]),
    "ROLE": "role",
    "STATUS": lambda result: result["fields"].get("status"),
    "FROM": lambda result: result["parse_status"] if result["stands"] else f"({result['parse_status']})",
    "FIGURES": lambda result: formatting.figures(result["fields"]),
    "SUMMARY": lambda result: result["fields"].get("summary") or result["faults"],
}


@click.group()
def result() -> None:
    """Report what you have done, as figures; look at what was reported.

    Example:  egg result submit '{"status": "success", "summary": "all done", "test_pass_rate": "95%"}'
    """


@result.command()
@click.argument("given", metavar="JSON|-")
@options.own_pipeline
@options.own_role
@options.output
def submit(*, pipeline: str, given: str, role: str | None, output: str) -> None:
    """Submit your typed result, a JSON object. With - it is read from standard input.

    Every role: status (success, partial, failed), summary; files_written[], issues[], blockers[],
    test_pass_rate, coverage, critical_issues, failed_tests[] where you know them.
    In a phase with `convergence` also, by the kind of the role, requirements: version,
    requirements_count, edge_cases_count, new_items[]. planner: plan_version, task_count,
    critical_path_length. developer: files_changed, tasks_completed, tests_passing. validator:
    test_pass_rate, coverage, critical_issues, ready_for_production.
    The newest one stands.

    Example:  egg result submit '{"status": "partial", "summary": "2 tests fail", "test_pass_rate": "36/38"}'
    """
    body = _object(options.read_text(given))
    if role is not None:
        body["role"] = role
    try:
        taken = server.agent().post(f"/pipelines/{pipeline}/results", body, repeatable=True)
    except Unprocessable as error:
        raise _telling(error) from error
    figures = formatting.figures(taken["fields"])
    said = f"{taken['role']} reports {taken['fields']['status']}" + (f": {figures}" if figures else "")
    render.answer(taken, said, output=output)


@result.command(name="list")
@options.pipeline_argument
@click.option("--raw", is_flag=True, help="Also the words each was read from.")
@paging.paged
@options.listing
def list_(*, pipeline: str, raw: bool, page: Page, output: str) -> None:
    """List the results of a pipeline, the newest first. Those that do not stand are in brackets.

    Example:  egg result list rate-limit
    """
    answer = server.operator().get(f"/pipelines/{pipeline}/results", {"raw": "true" if raw else None})
    newest = {**answer, "results": answer["results"][::-1]}
    answer = page.of(newest, "results", name=lambda result: str(result["id"]))
    render.write_list(answer, "results", COLUMNS, output=output, nothing="no role has reported a result")
    paging.say_more(answer)


def _object(text: str) -> Json:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise click.BadParameter(f"a result is a JSON object, and this is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise click.BadParameter("a result is a JSON object: {...}")
    return found


def _telling(error: Unprocessable) -> Unprocessable:
    """The same with every fault in its sentence: an agent mends them all at once."""
    faults = error.details.get("faults")
    if not isinstance(faults, list) or not faults:
        return error
    named = "; ".join(f"{one['path']}: {one['message']}" for one in faults if isinstance(one, Mapping))
    return Unprocessable(f"the result was not taken: {named}", error.details)
