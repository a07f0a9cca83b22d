"""`mstl-edge` and `python -m mstl_edge_cli`: ready for Ctrl-C before anything that takes time is imported."""

from mstl_edge_cli.stopping import ended_by_signals


def main() -> None:
    """Run the command line."""
    with ended_by_signals():
        from mstl_edge_cli.app import main as run

        run()


if __name__ == "__main__":
    main()
