"""What each rank of a test does: python -m rank_program CONFIG OUT; run alone, it is the only rank.

Takes one update and then a whole run, and writes what the first rank has then, and which pairs each rank has read.
"""

import sys
from pathlib import Path

import torch
from runs import weights_of

from pix2pix import Trainer, load_config
from pix2pix.data.augment.apply import prepare
from pix2pix.runtime import distributed
from pix2pix.runtime.log import to_console


def main(config: str, out: Path) -> None:
    """The first update's gradients in gradients.pt, a whole run's numbers in weights.pt, pairs in pairs-RANK.pt."""
    with to_console(), distributed.process_group():
        work(config, out)


def work(config: str, out: Path) -> None:
    rank, pairs, batches = distributed.rank(), [], []
    trainer, step = Trainer(load_config(config)), Trainer.train_step

    def train_step(self, x, y, own, total):
        report = step(self, x, y, own, total)
        pairs.append(batches[-1]["index"][:own].tolist())
        if self.state.step == 1 and rank == 0:
            parts = {"g": self.generator, "d": self.discriminator}
            gradients = {f"{n}.{k}": p.grad for n, part in parts.items() for k, p in part.named_parameters()}
            torch.save({"gradients": gradients, "report": report}, out / "gradients.pt")
        return report

    def remember(batch, *rest):
        batches.append(batch)
        return prepare(batch, *rest)

    Trainer.train_step = train_step
    sys.modules["pix2pix.training.trainer"].prepare = remember
    trainer.fit()
    torch.save(pairs, out / f"pairs-{rank}.pt")
    if rank == 0:
        torch.save(weights_of(trainer), out / "weights.pt")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
