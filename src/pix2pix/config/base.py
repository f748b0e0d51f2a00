"""The base class of all sections of the schema, and the types that several sections share.

The models are strict: lax ones would turn 'no' into False and '64' into 64 without a warning. Only sequences are
lenient, because YAML has lists and no tuples. Every field has a description, for the JSON schema and the reference.
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

SideLength = Annotated[int, Field(ge=16, le=8192)]
Size = SideLength | Annotated[tuple[SideLength, SideLength], Field(strict=False)]
Count = Annotated[int, Field(ge=1)]
Interval = Annotated[int, Field(ge=0)]


class Section(BaseModel):
    """The base of every section of a config."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


def height_and_width(size: int | tuple[int, int]) -> tuple[int, int]:
    """Return (height, width) of a size as a config gives it: one side length, or both."""
    return (size, size) if isinstance(size, int) else size


def show_size(size: tuple[int, int]) -> str:
    """Format (height, width) as a config has it."""
    return str(size[0]) if size[0] == size[1] else f"[{size[0]}, {size[1]}]"
