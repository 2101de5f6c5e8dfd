"""The prompt of an agent run, made of its brief; and the other words an agent is told, from templates too."""

from egg_tasks.prompts import templates
from egg_tasks.prompts.templates import sentence
from models.schemas.brief import Brief, CauseText, Context
from models.schemas.summons import Summons


def render(brief: Brief) -> str:
    """Write the prompt; what others said is quoted as theirs."""
    return templates.render("agent.md", brief=brief).rstrip() + "\n"


def context(brief: Brief) -> Context:
    """The same for programs, and for who asks while it runs: with our sentences where a prompt has them."""
    cycle = brief.cycle
    return Context(
        **{name: getattr(brief, name) for name in Context.model_fields.keys() & Brief.model_fields.keys()}
        | {
            "causes": tuple(CauseText(kind=each.kind, text=sentence("cause", each)) for each in brief.causes),
            "notes": tuple(sentence("notes", brief).splitlines()),
            "left_out": {part: sentence("left_out", part, left) for part, left in brief.left_out.items()},
            "focus": sentence("focus", cycle) if cycle else None,
            "criteria": sentence("criteria", cycle.criteria) if cycle else None,
            "result_fields": cycle.result_fields if cycle else (),
        }
    )


def signal(summons: Summons) -> str:
    """What an agent that reads only its prompt finds in its signal file: what, by when, and why."""
    return templates.render("signal.md", summons=summons)
