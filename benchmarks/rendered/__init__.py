"""The tables of README and docs, each drawn from a committed result."""
