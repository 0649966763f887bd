"""Which pictures are worth keeping: not blank, not frozen, not seen before on their channel."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from twitchcat.frames.picture import luma_deviation, perceptual_hash, same_picture, thumbprint

Fault = Literal["blank", "frozen", "near_identical"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sifted:
    """What the sieve says of one picture."""

    fault: Fault | None  #: None: keep it
    phash: int  #: signed 64 bit


class Sieve:
    """The sieve of one visit: remembers the visit's pictures and the channel's earlier hashes.

    `earlier` are signed 64-bit perceptual hashes of the channel's latest frames; `blank` is a standard
    deviation of luma, 0..255; `near_identical` a number of bits of 64, -1 to keep all but the blank.
    """

    def __init__(self, earlier: Iterable[int], *, blank: float, near_identical: int) -> None:
        self._seen: NDArray[np.int64] = np.fromiter(earlier, dtype=np.int64)
        self._blank = blank
        self._near_identical = near_identical
        self._last: NDArray[np.uint8] | None = None

    def sift(self, rgb: NDArray[np.uint8]) -> Sifted:
        """Judge the next picture of the visit, (H, W, 3) uint8 RGB, and remember it."""
        phash = perceptual_hash(rgb)
        last, self._last = self._last, thumbprint(rgb)
        if luma_deviation(rgb) < self._blank:
            return Sifted(fault="blank", phash=phash)
        if self._near_identical >= 0:
            if last is not None and same_picture(last, self._last):
                return Sifted(fault="frozen", phash=phash)
            if self._nearest(phash) <= self._near_identical:
                return Sifted(fault="near_identical", phash=phash)
        self._seen = np.append(self._seen, np.int64(phash))
        return Sifted(fault=None, phash=phash)

    def _nearest(self, phash: int) -> int:
        """Bits by which the nearest remembered hash differs, 65 if there is none."""
        if not self._seen.size:
            return 65
        differing = np.bitwise_xor(self._seen, np.int64(phash)).view(np.uint64)
        return int(np.bitwise_count(differing).min())
