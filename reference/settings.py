"""docs/reference/settings.md: every setting, from the table that reads them."""

from egg_tasks.settings_table import OF_AGENTS, SETTINGS, TABLES, Kind, Setting
from reference.markdown import code, table

INTRODUCTION = """\
# Settings

Written from `egg_tasks/settings_table.py` by `make reference`; a test fails when it is not up to date.

Nothing has to be set. What is, is said in the environment or in `$EGG_HOME/settings.toml`; the environment
wins, and an empty variable is none. `egg settings` shows each with where it comes from, `egg doctor` what the
running stack was started with.

```toml
[api]
rate_limit = 100

[node]
capacity = 20
```
"""
OTHERS = {
    "HOME": "where the stack's home is, where no other name says it; your git's configuration",
    "XDG_DATA_HOME": "where the stack's home is, if you are not root: `egg` in it",
    "PATH": "where git, agents' programs and servers are found, as it is when `egg up` is typed",
    "LANG": "the language and encoding of our processes and of agents",
    "GIT_CONFIG_PARAMETERS": "passed on to git, as git itself does",
    "NO_COLOR": "no colours",
}
"""What is read besides, and not ours to name."""
INTERNAL = {
    "EGG_FETCH_USER": "the name for one fetch, from us to git alone",
    "EGG_FETCH_PASSWORD": "the password for one fetch, from us to git alone",
}


def page() -> str:
    """The whole page."""
    parts = [INTRODUCTION, "## Where egg's home is, and what is the environment's alone\n"]
    counts = ("what it says", "otherwise", "a change counts")
    alone = [each for each in SETTINGS if not each.key]
    parts.append(
        table(
            ("variable", *counts),
            [(code(each.variable), said(each), otherwise(each), each.effect) for each in alone],
        )
    )
    for name, what in TABLES.items():
        own = [each for each in SETTINGS if each.table == name]
        rows = [
            (
                code(each.key),
                code(each.variable) if each.variable else "",
                said(each),
                otherwise(each),
                each.effect,
            )
            for each in own
        ]
        parts.append(f"## `[{name}]`: {what}\n\n{table(('key', 'variable', *counts), rows)}")
    for title, words in (
        ("What an agent finds in its environment", OF_AGENTS),
        ("Variables that are read, and are others' to name", OTHERS),
        ("Between our own processes", INTERNAL),
    ):
        parts.append(f"## {title}\n\n{table(('variable', 'is'), [(code(k), v) for k, v in words.items()])}")
    return "\n".join(parts)


def said(setting: Setting) -> str:
    """What a setting says, what it must be, and whether it is ever shown."""
    words = [setting.help]
    if setting.kind is not Kind.TEXT:
        of = f" of {setting.unit}" if setting.unit else ""
        bounds = f", {setting.least} to {setting.most}" if setting.most else f", {setting.least} or more"
        words.append(f"({setting.kind}{of}{bounds if setting.kind in (Kind.WHOLE, Kind.PORT) else ''})")
    return " ".join(words) + ("; never shown" if setting.is_secret else "")


def otherwise(setting: Setting) -> str:
    """What holds when nobody says anything."""
    return code(setting.default) if setting.default else setting.otherwise
