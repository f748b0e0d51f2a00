"""Inference: any image in, its translation out at the same size."""
