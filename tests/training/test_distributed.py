"""Several ranks do what one does: the same gradients, each pair once, the same end after a stop, and no orphans."""

import os
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from commands import TINY, Result, overrides, pairs, pix2pix, script
from forked import COMMAND, PIPE, Program
from ranks import free_port, rank_variables, torchrun
from runs import make_config, weights_of
from torch.nn import functional as F

from pix2pix import Trainer
from pix2pix.config import config_from_dict, dump_config
from pix2pix.data.dataset import open_split
from pix2pix.errors import ConfigError, NonFiniteError
from pix2pix.models.build import convert_sync_batchnorm, require_equal_shares
from pix2pix.runtime import distributed
from pix2pix.runtime.signals import Stopped
from pix2pix.training.checkpoint_io import load_newest
from pix2pix.training.divergence import DivergenceCheck
from pix2pix.weights import load_generator_file

CPU = torch.device("cpu")
NO_DROPOUT = {"generator": {"base_channels": 2, "norm": "instance_affine", "dropout": 0.0}} | {
    "discriminator": {"base_channels": 2, "n_layers": 2, "norm": "instance_affine"}
}


def config_of(output: Path, batch: int = 4, **sections):
    data = make_config(output).data.model_dump() | {"batch_size": batch, "synthetic": {"train": 9, "val": 2, "test": 1}}
    return make_config(output, data=data, model=NO_DROPOUT, **sections)


def test_a_batch_is_shared_as_equally_as_can_be():
    for ranks in (1, 2, 3, 4):
        for count in range(9):
            parts = [distributed.shard(range(count), rank, ranks) for rank in range(ranks)]
            assert [item for part in parts for item in part] == list(range(count))
            sizes = [len(part) for part in parts]
            assert sizes == sorted(sizes, reverse=True) and sizes[0] - sizes[-1] <= 1


def ranks_of(count: int, code: str, *arguments: object, folders: Sequence[Path] = ()) -> list[Result]:
    """Runs several ranks of a program, each in its folder where there are `folders`."""
    port, ranks = free_port(), []
    for rank in range(count):
        around = os.environ | rank_variables(rank, count, port)
        folder = folders[rank] if folders else None
        ranks.append(Program(code, *arguments, cwd=folder, env=around, stdout=PIPE, stderr=PIPE))
    said = [rank.communicate() for rank in ranks]
    return [Result(rank.returncode, *texts) for rank, texts in zip(ranks, said, strict=True)]


def far_apart(a: dict, b: dict, tolerance: float) -> list[str]:
    """The tensors that differ by more than that, of their largest number where it is above 1."""
    assert a.keys() == b.keys() and len(a) > 10
    return [k for k in a if (a[k] - b[k]).abs().max() > tolerance * max(1, a[k].abs().max())]


def test_two_ranks_compute_what_one_does_and_read_each_pair_once(tmp_path):
    """Nine pairs in batches of four: the last one leaves a rank without any."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / f"{name}.yaml").write_text(dump_config(config_of(tmp_path / name / "run")))
    work = "import sys\nfrom pathlib import Path\nfrom rank_program import main\nmain(sys.argv[1], Path(sys.argv[2]))"
    alone = script(work, "one.yaml", "one")
    assert alone.code == 0, alone.err
    both = ranks_of(2, work, "two.yaml", "two")
    assert all(rank.code == 0 for rank in both), both
    assert "done: 3 epochs, 9 steps" in both[0].out and not both[1].out  # the first rank alone speaks
    one, two = (torch.load(tmp_path / name / "gradients.pt") for name in ("one", "two"))
    assert far_apart(one["gradients"], two["gradients"], 1e-6) == []
    assert all(two["report"][name].item() == pytest.approx(value.item(), 1e-5) for name, value in one["report"].items())
    read = [torch.load(tmp_path / "two" / f"pairs-{rank}.pt") for rank in (0, 1)]
    in_lockstep = [a + b for a, b in zip(*read, strict=True)]
    assert in_lockstep == torch.load(tmp_path / "one" / "pairs-0.pt")
    assert [len(part) for part in read[1]] == [2, 2, 0] * 3
    for epoch in range(3):
        assert sorted(index for batch in in_lockstep[3 * epoch : 3 * epoch + 3] for index in batch) == [*range(9)]
    one, two = (torch.load(tmp_path / name / "weights.pt") for name in ("one", "two"))
    assert far_apart(one, two, 1e-3) == []  # Adam makes much of the last bit of a small gradient
    assert load_generator_file(tmp_path / "two" / "run" / "gen.pt").step == 9


def test_a_stop_is_agreed_upon():
    """torchrun passes on what it is sent; row F2 goes on from such stops."""
    long = ("--set", "data.synthetic.train=60", "--set", "schedule.epochs=4")
    process = torchrun(2, "train", *TINY, *long, "--output", "out")
    assert any(line.startswith("step 40/") for line in process.stdout)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=60)
    assert "all saved in out; the same command resumes from here" in out
    assert 40 <= load_newest(Path("out/checkpoints"), CPU)["step"] < 120


def test_ranks_that_see_other_data_or_another_run_are_refused(tmp_path):
    """Two machines with folders of their own."""
    sizes = {"data.layout": "auto", "data.root": "data", "data.direction": None}
    command = ("train", *TINY, *overrides(sizes), "--output", "run")

    def both() -> list[Result]:
        return ranks_of(2, COMMAND, *command, folders=[tmp_path / "0", tmp_path / "1"])

    for rank, count in (("0", 4), ("1", 3)):
        pairs(tmp_path / rank / "data", "train", count=count)
    for rank, count in zip(both(), (3, 2), strict=True):  # one is held out for validation
        assert rank.code == 3 and f"(this one train: {count} pairs" in rank.err, rank
    pairs(tmp_path / "1" / "data", "train", count=4)
    assert (
        pix2pix(
            "train", *TINY, *overrides(sizes), "--output", tmp_path / "0" / "run", "--data", tmp_path / "0" / "data"
        ).code
        == 0
    )
    for rank, step in zip(both(), (4, 0), strict=True):
        assert rank.code == 4 and f"(this one is at step {step})" in rank.err, rank


def test_ranks_stop_together(monkeypatch):
    with distributed.stopped_together():
        pass
    with pytest.raises(Stopped), distributed.stopped_together():
        raise Stopped
    monkeypatch.setattr(distributed, "any_rank", lambda flag: True)  # another one has
    with pytest.raises(Stopped), distributed.stopped_together():
        pass


def test_a_broken_picture_of_another_rank_is_not_blamed_on_this_ones(tmp_path, monkeypatch):
    trainer = Trainer(make_config(tmp_path / "run"))
    monkeypatch.setattr(distributed, "any_rank", lambda flag: True)
    monkeypatch.setattr(trainer.guard, "first", lambda: (3, ["d/real"]))
    trainer.state.recent_indices[3] = torch.tensor([0, 1])
    pairs = open_split(trainer.config.data, "train", (36, 36))
    check = DivergenceCheck(tmp_path, trainer.guard, trainer.networks, pairs)
    with pytest.raises(NonFiniteError, match=r"d/real .* step 3, in what another rank read; "):
        check.require_finite(trainer.state)


def test_synchronised_norms_need_equal_shares(tmp_path, monkeypatch):
    monkeypatch.setattr(distributed, "world_size", lambda: 2)
    network = torch.nn.SyncBatchNorm(3)
    config = config_of(tmp_path, 8, optimizer={"accumulation_steps": 2})
    for count in (8, 12, 16, 20):
        require_equal_shares(config, count, network)
    for count in (9, 10, 11, 13):
        require_equal_shares(config, count, torch.nn.BatchNorm2d(3))
        with pytest.raises(
            ConfigError, match=f"last batch of {count} pairs cannot be divided by 4; set data.batch_size"
        ):
            require_equal_shares(config, count, network)


def test_what_ranks_refuse(tmp_path, monkeypatch):
    monkeypatch.setattr(distributed, "world_size", lambda: 2)
    odd = config_of(tmp_path, 3)
    with pytest.raises(
        ConfigError, match=r"data.batch_size 3 cannot be divided among 2 ranks; make it a multiple of 2"
    ):
        convert_sync_batchnorm(odd)
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 3, 3), torch.nn.BatchNorm2d(3))
    with pytest.raises(ConfigError, match=r"only CUDA has; set .*instance_affine"):
        convert_sync_batchnorm(config_of(tmp_path, 4), network)
    assert convert_sync_batchnorm(config_of(tmp_path, 2), network) == [network]  # one image a rank: per image, as it is


def test_weights_say_themselves_that_their_norm_is_per_image(tmp_path):
    base = make_config(tmp_path / "run").model_dump(mode="json")
    base["model"]["generator"] |= {"norm": "batch"}
    trainer = Trainer(config_from_dict(base, "test"))
    trainer.fit()
    assert not load_generator_file(tmp_path / "run" / "gen.pt").generator.down["2"].norm.per_image
    content = torch.load(tmp_path / "run" / "gen.pt", weights_only=True)
    torch.save(content | {"per_image_norm": True}, tmp_path / "run" / "gen.pt")
    assert load_generator_file(tmp_path / "run" / "gen.pt").generator.down["2"].norm.per_image


# Gradient accumulation


@pytest.mark.parametrize("order", ["discriminator-first", "generator-first"])
@pytest.mark.parametrize("steps", [2, 4])
def test_accumulated_parts_make_the_large_batchs_update(tmp_path, order, steps):
    x, y = torch.rand(2, 4, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    trainers = []
    for parts in (1, steps):
        schedule = {"epochs": 3, "decay_epochs": 1, "update_order": order}
        optimizer = {"accumulation_steps": parts, "betas": (0.5, 0.999)}
        trainers.append(Trainer(config_of(tmp_path, schedule=schedule, optimizer=optimizer)))
    reports = [trainer.train_step(x, y) for trainer in trainers]
    for name, value in reports[0].items():
        assert reports[1][name].item() == pytest.approx(value.item(), rel=1e-6)
    for part in ("generator", "discriminator"):
        a, b = ([p.grad for p in getattr(trainer, part).parameters()] for trainer in trainers)
        assert max((p - q).abs().max() for p, q in zip(a, b, strict=True)) < 3e-6


def test_both_updates_of_an_accumulated_batch_judge_the_same_fakes(tmp_path):
    model = {"generator": NO_DROPOUT["generator"] | {"dropout": 0.5, "dropout_up": [5, 4]}}
    config = config_of(tmp_path, optimizer={"accumulation_steps": 2})
    trainer = Trainer(config_from_dict(config.model_dump() | {"model": config.model.model_dump() | model}, "test"))
    seen = []
    trainer.discriminator.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[1].detach().clone()))
    x, y = torch.rand(2, 4, 3, 32, 32) * 2 - 1
    trainer.train_step(x, y)
    real_1, fake_1, real_2, fake_2, again_1, again_2 = seen
    assert torch.equal(real_1, y[:2]) and torch.equal(real_2, y[2:])
    assert torch.equal(fake_1, again_1) and torch.equal(fake_2, again_2) and not torch.equal(fake_1, fake_2)
    assert trainer.state.samples_seen == 4 and weights_of(trainer)


def test_running_statistics_follow_each_part_once(tmp_path):
    model = {"generator": {"base_channels": 2}, "discriminator": {"base_channels": 2, "n_layers": 2}}
    config = config_of(tmp_path, optimizer={"accumulation_steps": 2}).model_dump(mode="json")
    trainer = Trainer(config_from_dict(config | {"model": model}, "test"))
    x = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        outputs = [
            trainer.generator.down["2"].conv(F.leaky_relu(trainer.generator.down["1"](part), 0.2))
            for part in x.chunk(2)
        ]
    trainer.train_step(x, x)
    norm, mean = trainer.generator.down["2"].norm, torch.zeros(4)
    for output in outputs:
        mean += 0.1 * (output.mean((0, 2, 3)) - mean)
    assert norm.num_batches_tracked == 2
    torch.testing.assert_close(norm.running_mean, mean)


def test_parts_that_are_not_equal_are_refused():
    result = pix2pix("train", *TINY, "--set", "optimizer.accumulation_steps=3")
    assert result.code == 2 and "data.batch_size" in result.err and "optimizer.accumulation_steps" in result.err
