"""Charts: axes, marks, curves."""
