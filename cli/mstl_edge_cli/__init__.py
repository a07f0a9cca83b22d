"""The `mstl-edge` command line: parse, call one library function, render."""
