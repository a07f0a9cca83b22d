"""A study's plan, folds, answers, and the tables that `results` makes of them: whatever of it needs no TensorFlow."""
