"""${message}.

Rules for the author: forward only; one change, one transaction, seconds long (`migrations.upgrading.LOCK_SECONDS`); safe
while the previous release runs: a column has a default that the tables say too, until a later release requires
it; a constraint is added NOT VALID and validated by a later migration, which does nothing else; an index of a
table that is there is made CONCURRENTLY by a migration that does nothing else, within
`op.get_context().autocommit_block()` and after a DROP INDEX CONCURRENTLY IF EXISTS of what an earlier try may
have left; a unique constraint takes such an index (ADD CONSTRAINT … UNIQUE USING INDEX); no rows are rewritten
(no UPDATE, no other type of a column); never import the project's tables, which move on; name every constraint as
the tables do. `tests/unit/test_migrations.py` looks.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}
