"""Training: the trainer, its state, checkpoints, evaluation and the run directory."""
