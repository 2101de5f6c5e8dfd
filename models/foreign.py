"""Text that agents and strangers wrote, made harmless for a person, a prompt and a log."""


def one_line(text: str) -> str:
    """*text* on one line: line breaks, control characters and marks that turn its direction stand escaped."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
