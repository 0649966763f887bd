"""What training looks at: sequences in time order, switches between categories, and a fair share for each."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from twitchcat.dataset.snapshot import SnapshotFrame
from twitchcat.training.recipe import Balance
from twitchcat.training.sequences import Tracks, class_weights, draw_frames, draw_sequences, tracks_of

BEGIN = datetime(2026, 11, 1, tzinfo=UTC)


def capture(number: int, category: str, channel: str, length: int) -> list[SnapshotFrame]:
    """The frames of one capture, two seconds apart."""
    return [
        SnapshotFrame(
            frame_id=1000 * number + i,
            path="x.jpg",
            sha256="0" * 64,
            category_id=category,
            category=category,
            channel_id=channel,
            channel=channel,
            capture_id=number,
            position=i,
            captured_at=BEGIN + timedelta(hours=number, seconds=2 * i),
            split="train",
        )
        for i in range(length)
    ]


def tracks(*captures: tuple[str, str, int]) -> Tracks:
    """Tracks of (category, channel, length) captures, one after another; classes are sorted."""
    frames = [
        frame
        for number, (category, channel, length) in enumerate(captures)
        for frame in capture(number, category, channel, length)
    ]
    return tracks_of(frames, sorted({category for category, _, _ in captures}))


def draw(found: Tracks, *, length: int, splice: float = 0.0, count: int = 200) -> np.ndarray:
    rng = np.random.default_rng(0)
    return draw_sequences(found, rng, count, length=length, splice=splice, balance="sampling")


def test_a_sequence_is_a_stretch_of_one_capture_in_time_order() -> None:
    found = tracks(("a", "one", 20), ("a", "one", 20), ("b", "two", 30))
    sequences = draw(found, length=8)
    assert (np.diff(sequences, axis=1) == 1).all()
    begins, ends = sequences[:, 0], sequences[:, -1]
    captures = np.repeat([0, 1, 2], [20, 20, 30])
    assert (captures[begins] == captures[ends]).all()


def test_every_place_of_a_capture_is_seen() -> None:
    assert set(draw(tracks(("a", "one", 20), ("b", "two", 20)), length=8).ravel()) == set(range(40))


def test_a_capture_that_is_too_short_goes_on_with_the_next_of_its_channel_and_category() -> None:
    found = tracks(("a", "one", 3), ("b", "other", 3), ("a", "one", 3))
    for sequence in draw(found, length=6):
        labels = found.labels[sequence]
        assert len(set(labels)) == 1
        if labels[0] == 0:
            assert sorted(sequence) == [0, 1, 2, 6, 7, 8]


def test_a_spliced_sequence_switches_once_to_another_category() -> None:
    found = tracks(("a", "one", 20), ("b", "two", 20), ("c", "three", 20))
    labels = found.labels[draw(found, length=8, splice=1.0)]
    switches = (np.diff(labels, axis=1) != 0).sum(axis=1)
    assert (switches == 1).all()
    places = (np.diff(labels, axis=1) != 0).argmax(axis=1)
    assert set(places) == set(range(7))


def test_the_share_of_spliced_sequences_is_as_asked() -> None:
    found = tracks(("a", "one", 20), ("b", "two", 20))
    labels = found.labels[draw(found, length=8, splice=0.3, count=1000)]
    spliced = (labels != labels[:, :1]).any(axis=1).mean()
    assert spliced == pytest.approx(0.3, abs=0.05)


def test_nothing_is_spliced_where_there_is_one_category() -> None:
    assert draw(tracks(("a", "one", 9)), length=4, splice=1.0).shape == (200, 4)


@pytest.mark.parametrize(
    ("balance", "rare"),
    [
        pytest.param("sampling", 0.5, id="balanced by sampling: as often as the frequent one"),
        pytest.param("none", 0.05, id="not balanced: as often as it occurs"),
        pytest.param("weights", 0.05, id="balanced by weights: the loss does it, not the draw"),
    ],
)
def test_a_rare_category_is_drawn(balance: Balance, rare: float) -> None:
    found = tracks(("a", "one", 190), ("b", "two", 10))
    drawn = draw_frames(found, np.random.default_rng(0), 4000, balance)
    assert (found.labels[drawn] == 1).mean() == pytest.approx(rare, abs=0.02)


def test_a_long_session_is_drawn_no_more_often_than_a_short_one() -> None:
    found = tracks(("a", "long", 300), ("a", "short", 10), ("b", "two", 10))
    drawn = draw_frames(found, np.random.default_rng(0), 4000, "sampling")
    counts = Counter(found.track_of[drawn])
    assert counts[0] == pytest.approx(counts[1], rel=0.15)


def test_weights_follow_the_effective_number_of_frames() -> None:
    weights = class_weights(np.array([10, 1000, 0]), beta=0.99)
    few, many = (1 - 0.99**10) / 0.01, (1 - 0.99**1000) / 0.01
    assert weights[0] / weights[1] == pytest.approx(many / few, rel=1e-5)
    assert weights[2] == 0
    assert weights[:2].mean() == pytest.approx(1.0)
