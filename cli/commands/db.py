"""egg db: the schema of the database."""

import os

import click

from cli import render


@click.group()
def db() -> None:
    """Bring the database's schema up to date.

    `egg up` does it by itself.

    Example:  egg db upgrade
    """


@db.command()
def upgrade() -> None:
    """Migrate the database at EGG_DATABASE_URL to the newest schema, under a lock; repeating it does nothing.

    Example:  EGG_DATABASE_URL=postgresql://egg@db/egg egg db upgrade
    """
    import migrations

    migrations.upgrade(_url())
    render.say(f"schema {migrations.current(_url())}")


@db.command()
def current() -> None:
    """Print the version of the schema the database at EGG_DATABASE_URL has.

    Example:  egg db current
    """
    import migrations

    render.say(migrations.current(_url()) or "none")


def _url() -> str:
    from egg_tasks.config import DATABASE_URL, server_url, sqlalchemy_url

    return sqlalchemy_url(server_url(os.environ, DATABASE_URL))
