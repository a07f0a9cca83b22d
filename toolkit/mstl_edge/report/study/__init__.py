"""What a page says of a study."""
