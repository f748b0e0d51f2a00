"""Weights files: a self-describing format that runs no code when it is read."""

from pix2pix.weights.format import GeneratorFile, load_generator_file, save_weights, saved_step

__all__ = ["GeneratorFile", "load_generator_file", "save_weights", "saved_step"]
