"""How the networks are computed: number format and memory format."""

from dataclasses import dataclass
from typing import Any

from pix2pix.config import Config

CONTIGUOUS, CHANNELS_LAST = "contiguous", "channels_last"


@dataclass(frozen=True)
class Execution:
    """`precision`: fp32 or bf16. `memory_format`: contiguous or channels_last.

    `speed_up`: measured speed relative to fp32 and contiguous; None if nothing was measured.
    """

    precision: str = "fp32"
    memory_format: str = CONTIGUOUS
    speed_up: float | None = None

    def __str__(self) -> str:
        name = self.precision if self.memory_format == CONTIGUOUS else f"{self.precision}, {self.memory_format}"
        return name if self.speed_up is None else f"{name} (measured: {self.speed_up:.2f} times the speed of fp32)"


PLAIN = Execution()
CANDIDATES = [Execution(p, f) for f in (PLAIN.memory_format, CHANNELS_LAST) for p in ("fp32", "bf16")]


def index_of(execution: Execution) -> int:
    """Return the number of an execution in CANDIDATES, whatever its speed. Raises ValueError for others."""
    formats = [(one.precision, one.memory_format) for one in CANDIDATES]
    return formats.index((execution.precision, execution.memory_format))


def configured(config: Config) -> Execution:
    """Return the execution that `run.precision` sets; `auto` is fp32 until `tuning.choose_execution` has measured."""
    return PLAIN if config.run.precision == "auto" else Execution(config.run.precision)


def recorded(environment: Any) -> Execution | None:
    """Return the execution recorded in a checkpoint's environment, else None.

    Checkpoints of early versions have the precision `auto`, which was fp32, and no memory format.
    """
    if not isinstance(environment, dict):
        return None
    precision, memory_format = environment.get("precision"), environment.get("memory_format", CONTIGUOUS)
    if precision not in ("auto", "fp32", "bf16") or memory_format not in (CONTIGUOUS, CHANNELS_LAST):
        return None
    return Execution("fp32" if precision == "auto" else precision, memory_format)
