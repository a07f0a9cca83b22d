"""Elements, blocks and the page that they stand on."""
