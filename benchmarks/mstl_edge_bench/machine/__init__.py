"""What is under a benchmark: CPU, emulation, load, clock."""
