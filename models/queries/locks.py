"""How rows are locked: never with FOR UPDATE.

Inserting a row takes a KEY SHARE lock of what its foreign keys name, and FOR UPDATE conflicts with that: a
sender that holds the stream and an evaluation that holds the pipeline would wait for each other.
"""

from sqlalchemy.sql.selectable import ForUpdateArg

NO_KEY = ForUpdateArg(key_share=True)
"""FOR NO KEY UPDATE, for `Session.get`."""
