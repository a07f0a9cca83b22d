"""What `mstl-edge bench` measures: host, latency, accuracy, footprint."""
