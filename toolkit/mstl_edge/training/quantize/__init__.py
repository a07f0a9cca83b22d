"""From a trained network to int8 candidates."""
