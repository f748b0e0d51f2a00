"""Counter-based random numbers: functions of the seed, a purpose and counters, without any state to save.

A run that resumes, or that uses another number of workers, therefore gets the same numbers.
"""

import hashlib
import struct

import numpy as np

# Purposes: two of them never share random numbers. Changing a value would change the results of every run.
INIT, ORDER, AUGMENT, STEP = range(4)


def counter_rng(seed: int, purpose: int, *counters: int) -> np.random.Generator:
    """Return the random generator of a purpose at some counters, such as (epoch, index)."""
    words = (seed, purpose, *counters)
    if max(words) < 2**32:  # the same generator, created faster
        return np.random.default_rng(np.array(words, np.uint32))
    return np.random.default_rng(words)


def counter_uniforms(seed: int, purpose: int, *counters: int) -> list[float]:
    """Return 16 numbers in [0, 1) of a purpose at some counters; faster than creating a generator for each pair."""
    digest = hashlib.blake2b(struct.pack(f"<{2 + len(counters)}Q", seed, purpose, *counters)).digest()
    return [float(word) for word in np.frombuffer(digest, "<u4") / 2**32]


def seed_torch(seed: int, purpose: int, *counters: int) -> None:
    """Seed torch's global generators, which initial weights and dropout use, for a purpose at some counters."""
    import torch

    number = int(counter_rng(seed, purpose, *counters).integers(2**63))
    if torch.cuda._initialized or torch.backends.mps.is_available():
        torch.manual_seed(number)
    else:  # torch.manual_seed would also store a stack trace at each call, for a GPU that nobody has used yet
        torch.default_generator.manual_seed(number)
