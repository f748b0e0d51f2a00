"""The file of measured number and memory formats, by machine and networks (`speed.json`)."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pix2pix.errors import CheckpointError
from pix2pix.runtime.io import replace_atomically
from pix2pix.runtime.log import debug
from pix2pix.runtime.opening import read_regular
from pix2pix.training.execution import CANDIDATES, Execution, index_of

_MOST_BYTES = 2**16


def read_results(path: Path) -> dict[str, Execution]:
    """Return the stored results by key; those that cannot be read are ignored."""
    try:
        saved = json.loads(read_regular(path, _MOST_BYTES))
        return {key: _execution(values) for key, values in saved.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError, TypeError, RecursionError) as error:
        debug(f"{path}: ignored ({error})")
        return {}


def _execution(values: Sequence[Any]) -> Execution:
    """Return a stored result. Raises ValueError or TypeError for anything else."""
    precision, memory_format, speed_up = values
    execution = CANDIDATES[index_of(Execution(precision, memory_format))]
    if not isinstance(speed_up, float) or not 1 <= speed_up < math.inf:
        raise ValueError("not a speed-up")
    return Execution(execution.precision, execution.memory_format, speed_up)


def write_results(path: Path, results: dict[str, Execution]) -> None:
    """Store the newest hundred results; if the file cannot be written, nothing is stored."""
    newest = {key: [one.precision, one.memory_format, one.speed_up] for key, one in [*results.items()][-100:]}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_atomically(path, lambda temporary: temporary.write_text(json.dumps(newest, indent=1)))
    except (OSError, CheckpointError) as error:
        debug(f"{path}: cannot be written ({error})")
