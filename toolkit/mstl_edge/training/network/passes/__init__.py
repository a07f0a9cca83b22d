"""Passes, each a pure function from graph to graph: what training from nothing starts with, and what quantization needs."""
