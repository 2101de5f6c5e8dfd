"""${message}.

Rules for the author: forward only; one change; safe while the previous release runs (add, fill, then
require in a later release); a constraint on a big table is added NOT VALID and validated after; never
import the project's tables, which move on; name every constraint as the tables do.
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
