"""docs/reference/events.md: every type of event, from the table that declares them."""

from models.events import EVENTS
from models.schemas.history import EventRead
from reference.markdown import code, table
from reference.shapes import rows

INTRODUCTION = """\
# Events

Written from `models/events.py` by `make reference`; a test fails when it is not up to date.

Everything that happens in a pipeline is an event, in order: number 1, 2, 3… without a gap. `egg events
PIPELINE` reads them (`--follow`, `--after N`, `--jsonl`), and so does `GET
/api/v1/pipelines/{pipeline_id}/events`, as a page or, with `Accept: text/event-stream`, as a stream of
server-sent events: `id` is the number, `event` the type, `data` the event as JSON. A stream begins with an
event `snapshot`, which is the pipeline's status; it sends a comment when nothing happened for 15 s, goes on
after the number in `Last-Event-ID`, and ends with its pipeline.

The webhook posts each question to a person (`decision.created`) in a form of its own: [be
told](../howto/answer-decisions.md#be-told).

## An event
"""


def page() -> str:
    """The whole page."""
    parts = [INTRODUCTION, table(("key", "holds", "which is"), rows(EventRead.model_json_schema()))]
    aggregate = ""
    for name, kind in EVENTS.items():
        above, _, _ = name.partition(".")
        if above != aggregate:
            aggregate = above
            parts.append(f"## {above}\n")
        data = table(("`data`", "holds"), [(code(key), text) for key, text in kind.data.items()])
        parts.append(f"### `{name}`\n\n{kind.when}\n" + (f"\n{data}" if data else ""))
    return "\n".join(parts)
