"""Grey levels of a DICOM picture: as stored, and as the file says that they are to be read."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mstl_edge.preprocess.dicom.values import functional, number_of, text_of, whole_of
from mstl_edge.preprocess.hearing import remark
from mstl_edge.preprocess.levels import own_range, scaled
from mstl_edge.recipe import Window

PLAIN_BITS = 8
"""Of levels that are shown as they are, unless the file says otherwise."""


class Levels:
    """The grey levels of one picture: as stored, and as the file says that they are to be read."""

    def __init__(self, dataset: Any, frame: int, stored: NDArray[Any]) -> None:
        self._dataset = dataset
        self._stored = stored
        self._rescale = functional(dataset, frame, "PixelValueTransformationSequence")
        self._view = functional(dataset, frame, "FrameVOILUTSequence")
        self._slope = number_of(self._rescale, "RescaleSlope", 1.0) or 1.0
        self._intercept = number_of(self._rescale, "RescaleIntercept", 0.0)
        self._levels = self._rescaled()

    def through(self, window: Window) -> NDArray[np.uint8]:
        """Return the levels through a window, as eight bits."""
        return scaled(self._levels.copy(), *window)

    def as_the_file_says(self) -> NDArray[np.uint8]:
        """Return the levels as eight bits by the file's own window or table, or by their range."""
        if "VOILUTSequence" in self._view and (looked_up := self._looked_up()) is not None:
            return looked_up
        width, centre = number_of(self._view, "WindowWidth", 0.0), number_of(self._view, "WindowCenter", 0.0)
        shape = text_of(self._view, "VOILUTFunction") or "LINEAR"
        if shape == "SIGMOID" and width > 0:
            share = 1 / (1 + np.exp(np.clip(-4 * (self._levels - centre) / width, -80, 80)))
            return scaled(share.astype(np.float32), 0.0, 1.0)
        if shape == "LINEAR_EXACT" and width > 0:
            return self.through((centre - width / 2, centre + width / 2))
        if width >= 1:
            # DICOM PS3.3, C.11.2.1.2.1: a width of 1 is a threshold.
            middle, reach = centre - 0.5, (width - 1) / 2
            return self.through((middle - reach, middle + max(reach, 1e-3)))
        return self.through(self._own_range())

    def padding(self) -> NDArray[np.bool_] | None:
        """Return which pixels lie outside the picture, as scanners that see a circle mark it; None where nothing says so."""
        value = whole_of(self._dataset, "PixelPaddingValue", None)
        if value is None:
            return None
        limit = whole_of(self._dataset, "PixelPaddingRangeLimit", value)
        found = np.asarray((self._stored >= min(value, limit)) & (self._stored <= max(value, limit)))
        return found if found.any() and not found.all() else None

    def _own_range(self) -> Window:
        bits = whole_of(self._dataset, "BitsStored", 16)
        if bits <= PLAIN_BITS and self._stored.dtype.kind in "iu" and "ModalityLUTSequence" not in self._dataset:
            least = -(1 << (bits - 1)) if self._stored.dtype.kind == "i" else 0
            ends = sorted(self._slope * end + self._intercept for end in (least, least + (1 << bits) - 1))
            return ends[0], ends[1]
        padding = self.padding()
        low, high = own_range(lambda: [self._levels if padding is None else self._levels[~padding]])
        remark(
            f"the file states no window: its own range is taken, {low:,.6g} to {high:,.6g}; preprocess.window states one"
        )
        return low, high

    def _rescaled(self) -> NDArray[np.float32]:
        if "ModalityLUTSequence" in self._dataset:
            from pydicom.pixels import apply_modality_lut

            levels = np.asarray(apply_modality_lut(self._stored, self._dataset), np.float32)
        else:
            levels = self._stored.astype(np.float32)
            levels *= np.float32(self._slope)
            levels += np.float32(self._intercept)
        return levels if np.isfinite(levels).all() else np.nan_to_num(levels, nan=0.0, posinf=0.0, neginf=0.0)

    def _looked_up(self) -> NDArray[np.uint8] | None:
        from pydicom.pixels import apply_voi

        try:
            found = apply_voi(np.rint(self._levels).astype(np.int32), self._view)
            bits = int(self._view.VOILUTSequence[0].LUTDescriptor[2])
        except (AttributeError, IndexError, KeyError, NotImplementedError, TypeError, ValueError):
            remark("the file's VOI lookup table is damaged and passed over")
            return None
        most = (1 << bits) - 1 if 1 <= bits <= 16 else float(found.max())
        return scaled(found.astype(np.float32), 0.0, float(max(most, found.max())))
