"""Images with labels: where they come from, how they are dealt out, and what is wrong with them.

The order of the story: `files` meets the files, `layout` and `labels` say what they are, `sources` puts that together, `scan` reads
each file once, `audit` says what is wrong, `splits` deals the images out, `pixels` decodes them into a cache.
"""
