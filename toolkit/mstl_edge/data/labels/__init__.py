"""A table of labels: from a file of cells to labelled images.

The order of the story: `table` reads it, `names` finds the files its cells speak of, `columns` tells its columns apart (by
`column_names`, with the `image_column`, the `split_column` and the `label_columns` found each in a file of its own), `values` says
what its labels mean, and `rows` makes labelled images of it.
"""
