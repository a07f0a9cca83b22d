"""Which images judge an int8 file, and what they say."""
