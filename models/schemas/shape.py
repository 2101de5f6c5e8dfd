"""What every part of a definition is."""

from typing import ClassVar

from pydantic import BaseModel, ConfigDict


class Shape(BaseModel):
    """A part of the definition: unknown keys are refused, and what was read never changes."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    not_built: ClassVar[frozenset[str]] = frozenset()
    """Keys of the specification that are refused by name until they are built."""
