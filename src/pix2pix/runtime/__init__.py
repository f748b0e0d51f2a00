"""Randomness, devices, ranks, signals, locks, files and logs. Independent of images and networks."""
