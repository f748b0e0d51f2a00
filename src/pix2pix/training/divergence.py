"""Stop a run whose losses, gradients or weights are non-finite, and name the step and the files."""

from pathlib import Path

from pix2pix.data.training_data import PairSource
from pix2pix.errors import NonFiniteError
from pix2pix.runtime import distributed
from pix2pix.runtime.finite import FiniteGuard, all_finite
from pix2pix.training.networks import Networks
from pix2pix.training.state import TrainState

_NAMED = 8  # files in a message


class DivergenceCheck:
    """Reads the guard's flag at the log cadence and before every save. Reading it waits for the device."""

    def __init__(self, directory: Path, guard: FiniteGuard, networks: Networks, train_data: PairSource):
        self.directory, self.guard, self.networks, self.train_data = directory, guard, networks, train_data

    def require_finite(self, state: TrainState, weights: bool = False) -> None:
        """Raise NonFiniteError where a loss or a gradient has been non-finite.

        With `weights`, the weights are checked too. All ranks must call this together.
        """
        saved = f"the last checkpoint is that of step {state.saved_step}" if state.saved_step else "no checkpoint yet"
        remedy = (
            f"nothing of it was applied or saved ({saved}); check the data, resume with a lower rate "
            "(--set optimizer.lr=... --allow-changed optimizer.lr), or start again with --fresh"
        )
        if occurrence := self.guard.first():
            step, names = occurrence
            raise NonFiniteError(
                f"{self.directory}: {', '.join(names)} became infinite or NaN at step {step}"
                f"{self._offending_files(state, step)}; {remedy}"
            )
        state.recent_indices.clear()
        if not weights:
            return
        for name, network in (("generator", self.networks.generator), ("discriminator", self.networks.discriminator)):
            if not all_finite(network):
                raise NonFiniteError(
                    f"{self.directory}: by step {state.step} weights of the {name} are infinite or NaN; {remedy}"
                )

    def _offending_files(self, state: TrainState, step: int) -> str:
        """Name the files of a step's batch; if some hold non-finite values, name only these."""
        if step not in state.recent_indices:
            return ""
        indices, data = state.recent_indices[step].tolist(), self.train_data
        broken = [i for i in indices if not all(data[i][key].isfinite().all() for key in data.formats.parts)]
        if distributed.any_rank(bool(broken)) and not broken:
            return ", in what another rank read"
        files = [file for i in broken or indices for file in data.files(i)]
        more = f" and {len(files) - _NAMED} more" if len(files) > _NAMED else ""
        return f", {'in' if broken else 'with'} {', '.join(files[:_NAMED])}{more}"
