"""Times: in blocks, in turns, in fresh processes, and whether they can be trusted."""
