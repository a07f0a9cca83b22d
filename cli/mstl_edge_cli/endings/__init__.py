"""What commands end with: pure functions from typed records to at most 15 lines of 80 characters, one module per command."""
