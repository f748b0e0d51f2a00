"""Randomness, devices, ranks, signals, locks, files and logs. Knows nothing of images or networks."""
