"""Frozen encoders: their features of each clip, and the linear classifiers that learn from them."""
