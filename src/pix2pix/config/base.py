"""What every part of the schema stands on: the strict section, and the types that several of them share.

Strict, because a lax model would turn 'no' into False and '64' into 64 without a word; only sequences are lenient, as
YAML knows lists and no tuples. Every field has a description: it feeds the JSON schema and the README's table.
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Side = Annotated[int, Field(ge=16, le=8192)]
Size = Side | Annotated[tuple[Side, Side], Field(strict=False)]
Count = Annotated[int, Field(ge=1)]
Interval = Annotated[int, Field(ge=0)]


class Section(BaseModel):
    """Base of every part of a config."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


def height_and_width(size: int | tuple[int, int]) -> tuple[int, int]:
    """The two sides of a size as a config gives it: one side, or both."""
    return (size, size) if isinstance(size, int) else size


def show_size(size: tuple[int, int]) -> str:
    """The size as it is written in a config."""
    return str(size[0]) if size[0] == size[1] else f"[{size[0]}, {size[1]}]"
