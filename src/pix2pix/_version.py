"""The version of pix2pix, below everything that records it."""

__version__ = "0.1.0"
