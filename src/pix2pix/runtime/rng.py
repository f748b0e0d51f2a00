"""Randomness from counters: every draw follows from the run's seed and where it is, so nothing need be remembered.

A run that is stopped and continued, or that reads its pairs with other workers, draws the same.
"""

import numpy as np

# What a draw is for; two purposes never share random numbers. The values are part of every run: never change them.
INIT, ORDER, AUGMENT, STEP = range(4)


def counter_rng(seed: int, purpose: int, *counters: int) -> np.random.Generator:
    """The random generator of one purpose at one place, such as (epoch, index)."""
    words = (seed, purpose, *counters)
    if max(words) < 2**32:
        words = np.array(words, np.uint32)  # the same generator, made faster
    return np.random.default_rng(words)


def seed_torch(seed: int, purpose: int, *counters: int) -> None:
    """Seeds torch's global generators, which draw initial weights and dropout, for one purpose at one place."""
    import torch

    torch.manual_seed(int(counter_rng(seed, purpose, *counters).integers(2**63)))
