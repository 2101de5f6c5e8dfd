"""egg db: the schema of the database."""

import click

from cli import options, render


@click.group()
def db() -> None:
    """Bring the database's schema up to date.

    `egg up` does it by itself.

    Example:  egg db upgrade
    """


@db.command()
@options.output
def upgrade(*, output: str) -> None:
    """Migrate the database to the newest schema. Under a lock; repeating it does nothing.

    Example:  EGG_DATABASE_URL=postgresql://egg@db/egg egg db upgrade
    """
    from migrations import applied, upgrading

    upgrading.upgrade(_url())
    found = applied.current(_url())
    render.answer({"schema": found}, f"schema {found}", output=output)


@db.command()
@options.output
def current(*, output: str) -> None:
    """Print the version of the schema that the database has.

    Example:  egg db current
    """
    from migrations import applied

    found = applied.current(_url())
    render.answer({"schema": found}, found or "none", output=output)


def _url() -> str:
    from egg_tasks.config import server_url, sqlalchemy_url, surroundings
    from egg_tasks.settings_table import DATABASE_URL

    return sqlalchemy_url(server_url(surroundings(), DATABASE_URL))
