"""Networks as small frozen graphs: whatever changes one is a pure function from graph to graph, and stands in `passes`."""
