"""Answers to images, of runs and studies alike: curves, tables, mistakes, thumbnails."""
