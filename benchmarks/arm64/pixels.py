"""Print the SHA-256 of what a network would be given of each image: `python pixels.py IMAGE…`, one line for each."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from mstl_edge.preprocess import load_image
from mstl_edge.recipe import PreprocessSpec

SIZE = 96


def main() -> None:
    """Read the files that are named."""
    for name in sys.argv[1:]:
        pixels = load_image(Path(name), SIZE, PreprocessSpec())
        sys.stdout.write(f"{hashlib.sha256(pixels.tobytes()).hexdigest()} {Path(name).name}\n")


if __name__ == "__main__":
    main()
