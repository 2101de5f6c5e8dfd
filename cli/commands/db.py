"""egg db: the schema of the database."""

import os

import click

from models.errors import Unprocessable


@click.group()
def db() -> None:
    """Bring the database's schema up to date.

    `egg up` does it by itself.

    Example:  egg db upgrade
    """


@db.command()
def upgrade() -> None:
    """Migrate the database at DATABASE_URL to the newest schema, under a lock; repeating it does nothing.

    Example:  DATABASE_URL=postgresql://egg@db/egg egg db upgrade
    """
    import migrations

    migrations.upgrade(_url())
    click.echo(f"schema {migrations.current(_url())}")


@db.command()
def current() -> None:
    """Print the version of the schema the database at DATABASE_URL has.

    Example:  egg db current
    """
    import migrations

    click.echo(migrations.current(_url()) or "none")


def _url() -> str:
    from egg_tasks.config import sqlalchemy_url

    url = os.environ.get("DATABASE_URL")
    if not url:
        raise Unprocessable(
            "DATABASE_URL is not set: give postgresql://host/database (a local stack needs no `egg db`)"
        )
    return sqlalchemy_url(url)
