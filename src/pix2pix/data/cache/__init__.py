"""Caches of decoded pairs, in memory or on disk."""
