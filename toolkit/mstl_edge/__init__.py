"""Multi-stage transfer of small medical image classifiers, int8 TFLite, and proof on edge devices.

`import mstl_edge` needs no TensorFlow; `mstl_edge.training` is the only part that does.
"""

from __future__ import annotations

__version__ = "0.1.0"
