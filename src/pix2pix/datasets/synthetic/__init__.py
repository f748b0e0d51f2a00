"""Drawn facades: label maps and photographs without any download."""
