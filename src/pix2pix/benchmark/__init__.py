"""Measure training and sampling against the plain way of writing them."""
