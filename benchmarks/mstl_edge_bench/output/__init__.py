"""A report as rows, tables and files for other programs."""
