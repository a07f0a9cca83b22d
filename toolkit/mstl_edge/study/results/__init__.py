"""Saved answers → the tables of a study: contenders, their statistics, what they cost, and the summary of all."""
