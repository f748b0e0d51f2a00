"""Importing the package and starting the command line load little and change nothing."""

import subprocess
import sys

from sources import MODULES


def test_the_command_line_starts_without_torch():
    script = """
import sys
from pix2pix.cli.main import main
try:
    main(["--help"])
except SystemExit:
    print(sorted({"torch", "numpy", "pydantic", "matplotlib", "PIL"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.splitlines()[-1] == "[]", done


def test_importing_has_no_side_effects():
    script = f"""
import os, random, signal, sys, threading
import pix2pix
from importlib import import_module
def state():
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    return dict(os.environ), os.listdir(), handlers, random.getstate(), threading.active_count()
def loaded(*names):
    return sorted(set(names) & set(sys.modules))
extras = "matplotlib", "tensorboard", "wandb", "onnx", "tifffile", "imagecodecs"
for name in ("pix2pix", "pix2pix.config", "pix2pix.data", "pix2pix.data.pairs", "pix2pix.runtime.io"):
    import_module(name)
print(loaded("torch"))
import torch, numpy, tqdm  # their own affairs are not ours
settings = lambda: (torch.get_default_dtype(), torch.get_num_threads(), torch.is_grad_enabled(), torch.initial_seed(),
                    torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark)
before, earlier = state(), settings()
for name in {sorted(f"pix2pix.{module}".rstrip(".") for module in MODULES if module != "__main__")!r}:
    import_module(name)
print(state() == before, settings() == earlier, loaded(*extras))
model = {{"generator": {{"base_channels": 2}}, "discriminator": {{"base_channels": 2}}}}
config = pix2pix.load_config({{"data": {{"image_size": 32, "load_size": 32, "layout": "synthetic"}}, "model": model}})
pix2pix.Trainer(config).train_step(*torch.rand(2, 1, 3, 32, 32))
print(loaded(*extras, "torch._dynamo", "torch._inductor", "torchvision", "sympy"))  # they take longer than torch
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert done.stdout.splitlines() == ["[]", "True True []", "[]"]
