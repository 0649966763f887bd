"""Near-identical frames, found among many."""

import numpy as np
import pytest

from twitchcat.dataset.audit import Fingerprints, near_hashes, near_vectors
from twitchcat.frames.picture import hamming


def hashes(values: list[int], *, first_id: int = 0) -> Fingerprints:
    ids = np.arange(first_id, first_id + len(values), dtype=np.int64)
    return Fingerprints(ids, np.array(values, np.uint64))


@pytest.mark.parametrize(
    ("differs", "found"),
    [
        pytest.param(0, True, id="the same"),
        pytest.param(0b101_0000_0001, True, id="three bits: near"),
        pytest.param(1 << 63, True, id="the sign is a bit like any other"),
        pytest.param(0b1111, False, id="four bits: not near"),
    ],
)
def test_hashes_are_near_by_the_bits_that_differ(differs: int, found: bool) -> None:
    base = 0xDEAD_BEEF_0BAD_CAFE
    near = list(near_hashes(hashes([base ^ differs], first_id=7), hashes([~base & 2**64 - 1, base]), bits=3))
    assert near == ([(7, 1, differs.bit_count())] if found else [])


def test_the_nearest_of_several_is_named() -> None:
    near = list(near_hashes(hashes([0], first_id=9), hashes([0b111, 0b1, 0b11]), bits=3))
    assert near == [(9, 1, 1)]


def test_nothing_is_near_to_nothing() -> None:
    assert list(near_hashes(hashes([]), hashes([1]), bits=64)) == []
    assert list(near_hashes(hashes([1]), hashes([]), bits=64)) == []


def test_many_hashes_are_compared_as_each_with_each_would_be() -> None:
    generator = np.random.default_rng(3)
    some = generator.integers(0, 2**64, 3000, dtype=np.uint64)
    flips = np.uint64(1) << generator.integers(0, 64, (2500, 5), dtype=np.uint64)
    others = np.concatenate([generator.integers(0, 2**64, 500, dtype=np.uint64), some[:2500]])
    for column in range(5):  # up to five bits are turned
        others[500:] ^= flips[:, column]
    later, earlier = hashes(others.tolist(), first_id=10_000), hashes(some.tolist())
    found = {frame: (other, bits) for frame, other, bits in near_hashes(later, earlier, bits=3)}
    expected = {
        10_500 + i: hamming(int(others[500 + i]), int(some[i]))
        for i in range(2500)
        if hamming(int(others[500 + i]), int(some[i])) <= 3
    }
    assert {frame: bits for frame, (_, bits) in found.items()} == expected
    assert all(found[frame][0] == frame - 10_500 for frame in expected)


def test_embeddings_are_near_by_their_cosine() -> None:
    later = Fingerprints(np.array([5, 6]), np.array([[1, 0], [0.6, 0.8]], np.float32))
    earlier = Fingerprints(np.array([1, 2]), np.array([[0, 1], [0.9998, 0.02]], np.float32))
    ((frame, other, cosine),) = near_vectors(later, earlier, cosine=0.99)
    assert (frame, other) == (5, 2)
    assert cosine == pytest.approx(0.9998, abs=1e-4)
