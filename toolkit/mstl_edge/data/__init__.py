"""Images with labels: where they come from, how they are dealt out, and what is wrong with them."""
