"""`python -m mstl_edge_cli`, the same as `mstl-edge`."""

from mstl_edge_cli.app import main

main()
