"""How a run meets the machine: randomness, devices, signals, files. Knows nothing of pictures or networks."""
