"""The conversation of a pipeline: read page by page, and told as people read it."""

from collections.abc import Iterable, Iterator, Mapping

from cli import event_stream, formatting, render
from egg_tasks.client import Client, Json
from models.foreign import Shown, indented, named, page

COLUMNS: render.Columns = {
    "ID": "id",
    "TIME": lambda sent: formatting.moment(sent["timestamp"]),
    "FROM": "from_role",
    "TO": "to_role",
    "TYPE": "message_type",
    "SUBJECT": "subject",
}
"""A table has no bodies."""
PAGE = 500
"""So many messages are asked for at once."""


class ConversationOptions:
    """The messages of a pipeline that are wanted, whoever they are for."""

    def __init__(self, client: Client, pipeline: str, wanted: Mapping[str, object]) -> None:
        self._client = client
        self._pipeline = pipeline
        self._wanted = {name: value for name, value in wanted.items() if value}
        self.next_after = 0
        self.has_more = False
        """Whether there may be more behind the last one that was read."""

    def stored(self, after: int, limit: int | None) -> Iterator[Json]:
        """Those above *after*, oldest first, *limit* at most."""
        self.next_after, left = after, limit
        while left is None or left > 0:
            found = self._read(left)
            yield from found
            left = None if left is None else left - len(found)
            if not self.has_more:
                return

    def coming(self, after: int, limit: int | None) -> Iterator[Json]:
        """The same and those to come, until the pipeline has ended."""
        self.next_after, left = after, limit
        while left is None or left > 0:
            # How it stands is asked before what was said: the last words are in what follows.
            status = self._client.get(f"/pipelines/{self._pipeline}")["pipeline"]["status"]
            is_over = status in event_stream.ENDED
            found = self._read(left, wait=0 if is_over else event_stream.WAIT_SECONDS)
            yield from found
            left = None if left is None else left - len(found)
            if is_over and not self.has_more:
                return

    def show(self, found: Iterator[Json], output: str) -> None:
        """Print messages as they come: as text, or as *output* says."""
        if output == "jsonl":
            render.write_lines(found)
        elif output:
            answer = {"messages": list(found), "next_after": self.next_after, "has_more": self.has_more}
            nothing = self._nothing() if output == "table" and not answer["messages"] else ""
            render.write_list(answer, "messages", COLUMNS, output=output, nothing=nothing)
        else:
            last = None
            for last in conversation(found):
                render.say(last)
            if last is None:
                render.say(self._nothing(), err=True)

    def _nothing(self) -> str:
        """That nothing was found, and who has spoken at all: a name may be a slip."""
        if not self._wanted:
            return "nothing was said"
        counts = self._client.get(f"/pipelines/{self._pipeline}/messages/status")["by_role"]
        return f"nothing of that kind was said; those who have spoken: {named(sorted(counts)) or 'nobody'}"

    def _read(self, limit: int | None, *, wait: int = 0) -> list[Json]:
        query = {
            **self._wanted,
            "after": self.next_after,
            "limit": min(limit or PAGE, PAGE),
            "wait": wait or None,
        }
        answer = self._client.get(f"/pipelines/{self._pipeline}/messages/history", query)
        self.next_after, self.has_more = answer["next_after"], answer["has_more"]
        messages: list[Json] = answer["messages"]
        return messages


def conversation(messages: Iterable[Json]) -> Iterator[Shown]:
    """Each message as a person reads it, with a line where another phase begins."""
    place = None
    for sent in messages:
        now = formatting.phase_name(sent["phase"], sent["iteration"])
        if now != place:
            place = now
            yield page([f"-- {now or 'before the first phase'}, {formatting.moment(sent['timestamp'])}"])
        yield told(sent)


def told(sent: Json) -> Shown:
    """One message: when, its id, who to whom, what kind, its subject; the body indented below."""
    reply = f" (to {sent['in_reply_to']})" if sent.get("in_reply_to") else ""
    head = f"{formatting.clock(sent['timestamp'])} {sent['id']:>4} {sent['from_role']} → {sent['to_role']}"
    subject = f": {sent['subject']}" if sent.get("subject") else ""
    line = f"{head} {sent['message_type']}{reply}{subject}"
    return page([line, *([indented(sent["body"])] if sent.get("body") else [])])
