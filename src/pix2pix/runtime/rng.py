"""Randomness from counters: every draw follows from the run's seed and where it is, so nothing need be remembered.

A run that is stopped and continued, or that reads its pairs with other workers, draws the same.
"""

import hashlib
import struct

import numpy as np

# What a draw is for; two purposes never share random numbers. The values are part of every run: never change them.
INIT, ORDER, AUGMENT, STEP = range(4)


def counter_rng(seed: int, purpose: int, *counters: int) -> np.random.Generator:
    """The random generator of one purpose at one place, such as (epoch, index)."""
    words = (seed, purpose, *counters)
    if max(words) < 2**32:
        words = np.array(words, np.uint32)  # the same generator, made faster
    return np.random.default_rng(words)


def counter_uniforms(seed: int, purpose: int, *counters: int) -> list[float]:
    """16 numbers from 0 to below 1 of one purpose at one place: making a generator for each pair would take longer."""
    digest = hashlib.blake2b(struct.pack(f"<{2 + len(counters)}Q", seed, purpose, *counters)).digest()
    return (np.frombuffer(digest, "<u4") / 2**32).tolist()


def seed_torch(seed: int, purpose: int, *counters: int) -> None:
    """Seeds torch's global generators, which draw initial weights and dropout, for one purpose at one place."""
    import torch

    torch.manual_seed(int(counter_rng(seed, purpose, *counters).integers(2**63)))
