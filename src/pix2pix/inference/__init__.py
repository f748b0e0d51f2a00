"""Inference: translate images of any size with a trained generator."""
