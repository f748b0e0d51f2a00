"""Paired augmentation: parameters, geometry and colour."""
