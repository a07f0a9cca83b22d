"""Weights that learn: views, stored features, the loop, checkpoints."""
