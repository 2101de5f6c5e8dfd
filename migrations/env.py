"""How Alembic reaches the database: over the connection it is handed."""

from typing import Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext

from migrations import upgrading
from models.tables import Base
from models.tables.base import SCHEMA, State


def render_item(kind: str, item: object, _autogen: AutogenContext) -> str | Literal[False]:
    """Write a state's column as the text it is, so that migrations never import the project's types."""
    return "sa.Text()" if kind == "type" and isinstance(item, State) else False


connection = context.config.attributes["connection"]
upgrading.set_time_outs(connection)
# A transaction that is open here would be everybody's, and no migration's own.
connection.commit()
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    version_table_schema=SCHEMA,
    transaction_per_migration=True,
    render_item=render_item,
)
with context.begin_transaction():
    context.run_migrations()
