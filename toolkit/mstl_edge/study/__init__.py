"""A study's plan, folds, answers, statistics and tables: whatever of it needs no TensorFlow."""
