"""Decoded pairs, kept in memory or on disk."""
