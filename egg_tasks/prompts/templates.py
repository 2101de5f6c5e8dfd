"""The templates that the words of prompts are in, and what may come out of a variable in them.

A template is ours, a variable never is. Whatever a variable holds is one line where it is put, with what
cannot be seen escaped; only `quoted` makes lines of it, each behind a mark of ours. There is no third way:
what comes out of any expression goes through `harmless`, also what a macro, `join` or `safe` has made.
"""

from functools import cache
from pathlib import Path

from jinja2 import FileSystemLoader, StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from models.foreign import Shown, fenced, one_line

HERE = Path(__file__).parent


def harmless(value: object) -> str:
    """What is put for an expression; `ValueError` for one that has no value, as for one that is not set."""
    if value is None:
        raise ValueError("a template puts what has no value")
    return value if isinstance(value, Shown) else one_line(value)


@cache
def environment() -> ImmutableSandboxedEnvironment:
    """How templates are read: what is not set is an error, and a line that only steers is none."""
    found = ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(HERE),
        undefined=StrictUndefined,
        finalize=harmless,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
        # What a line is made of is foreign text, and no markup language's.
        autoescape=False,
    )
    found.filters["quoted"] = fenced
    return found


def render(name: str, **facts: object) -> str:
    """A template with its facts."""
    return environment().get_template(name).render(**facts)


def sentence(name: str, *facts: object) -> str:
    """What a macro of `sentences.md` says."""
    said: str = getattr(environment().get_template("sentences.md").module, name)(*facts)
    return said
