"""What a page says of benchmarks."""
