"""What `mstl-edge study` does between its options and its ending: which arms are asked for, where they are trained, its tables."""
