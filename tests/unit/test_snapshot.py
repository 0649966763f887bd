"""Snapshots: what they hold, and what their fingerprint stands for."""

import gzip
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from twitchcat.dataset.snapshot import Snapshot, SnapshotFrame, Split
from twitchcat.errors import ConfigError
from twitchcat.twitch.entities import Category

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def frame(
    number: int, *, channel: str = "ana", split: Split = "train", category: str = "Chess"
) -> SnapshotFrame:
    return SnapshotFrame(
        frame_id=number,
        path=f"00/{number}.jpg",
        sha256=f"{number:064x}",
        category_id=f"id of {category}",
        category=category,
        channel_id=f"id of {channel}",
        channel=channel,
        capture_id=1,
        position=number,
        captured_at=NOON + timedelta(seconds=number),
        split=split,
    )


SNAPSHOT = Snapshot((frame(0), frame(1), frame(2, channel="bob", split="test", category="Art")))


def test_a_snapshot_is_read_back_as_it_was_saved(tmp_path: Path) -> None:
    SNAPSHOT.save(tmp_path / "a.gz")
    read = Snapshot.load(tmp_path / "a.gz")
    assert read.frames == SNAPSHOT.frames
    assert read.fingerprint == SNAPSHOT.fingerprint


def test_the_same_snapshot_is_saved_as_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.gz", "b.gz"):
        SNAPSHOT.save(tmp_path / name)
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()


def test_classes_are_sorted_by_name_and_not_by_where_they_come_from() -> None:
    assert SNAPSHOT.classes == (
        Category(id="id of Art", name="Art"),
        Category(id="id of Chess", name="Chess"),
    )


def test_frames_are_asked_for_by_split() -> None:
    assert [one.frame_id for one in SNAPSHOT.of("train")] == [0, 1]
    assert SNAPSHOT.of("val") == ()


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"sha256": "f" * 64}, id="another picture"),
        pytest.param({"category_id": "other"}, id="another label"),
        pytest.param({"position": 9}, id="another place in the capture"),
        pytest.param({"captured_at": NOON + timedelta(hours=1)}, id="another time"),
        pytest.param({"capture_id": 2}, id="another capture"),
        pytest.param({"channel_id": "other"}, id="another channel"),
    ],
)
def test_the_fingerprint_changes_with_what_is_learned(change: dict[str, Any]) -> None:
    first, second, third = SNAPSHOT.frames
    assert Snapshot((first, replace(second, **change), third)).fingerprint != SNAPSHOT.fingerprint


def test_the_fingerprint_changes_with_the_split() -> None:
    first, second, third = SNAPSHOT.frames
    assert Snapshot((first, second, replace(third, split="val"))).fingerprint != SNAPSHOT.fingerprint


def test_the_fingerprint_is_the_same_in_every_database_and_order() -> None:
    renumbered = [
        replace(one, frame_id=one.frame_id + 70, capture_id=33, path="x") for one in SNAPSHOT.frames
    ]
    assert Snapshot(tuple(reversed(renumbered))).fingerprint == SNAPSHOT.fingerprint
    zone = timezone(timedelta(hours=2))
    elsewhere = [replace(one, captured_at=one.captured_at.astimezone(zone)) for one in renumbered]
    assert Snapshot(tuple(elsewhere)).fingerprint == SNAPSHOT.fingerprint


def test_a_channel_cannot_stand_in_two_splits() -> None:
    with pytest.raises(ValueError, match="ana stands in two splits"):
        Snapshot((frame(0), frame(1, split="test")))


def test_times_without_a_zone_and_splits_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        replace(frame(0), captured_at=NOON.replace(tzinfo=None))
    with pytest.raises(ValueError, match="no split 'training'"):
        replace(frame(0), split="training")  # type: ignore[arg-type]  # that is the point


def test_an_altered_snapshot_is_refused(tmp_path: Path) -> None:
    SNAPSHOT.save(tmp_path / "a.gz")
    text = gzip.decompress((tmp_path / "a.gz").read_bytes()).decode()
    (tmp_path / "a.gz").write_bytes(gzip.compress(text.replace("id of Art", "id of War").encode()))
    with pytest.raises(ConfigError, match=r"a\.gz: has been altered"):
        Snapshot.load(tmp_path / "a.gz")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        pytest.param(b"", "is no snapshot", id="empty"),
        pytest.param(b"hello", "cannot be read", id="not compressed"),
        pytest.param(gzip.compress(b"hello"), "is damaged", id="something else, compressed"),
        pytest.param(gzip.compress(b"[1]\n"), "is no snapshot", id="another JSON"),
        pytest.param(
            gzip.compress(b'{"format": "twitchcat snapshot", "version": 2}'), "version 2", id="newer"
        ),
        pytest.param(
            gzip.compress(b'{"format": "twitchcat snapshot", "version": 1}\n{"a": 1}'),
            "is damaged",
            id="no frame",
        ),
        pytest.param(None, "is damaged", id="cut"),
    ],
)
def test_a_file_that_is_no_snapshot_is_refused(tmp_path: Path, content: bytes | None, why: str) -> None:
    path = tmp_path / "a.gz"
    if content is None:
        SNAPSHOT.save(path)
        content = path.read_bytes()[:-30]
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=rf"a\.gz: .*{why}"):
        Snapshot.load(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone\.gz: cannot be read: No such file"):
        Snapshot.load(tmp_path / "gone.gz")
