"""What a page says of a run."""
