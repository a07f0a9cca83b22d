"""Accuracy, and the images that it is measured on."""
