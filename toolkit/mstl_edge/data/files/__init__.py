"""The files of a set as they lie: what is among them, and what their names and headers alone say; no labels, no pixels.

The order of the story: `walk` meets them (`kaggle` downloads them first, `chosen` takes what a person's words stand for), `masks`
and the slices of `volumes` are told from pictures, `patients` from names, and `labelled` is what a set is once it is listed.
"""
