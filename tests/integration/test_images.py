"""The image store: each image is whole and on disk, or not there at all."""

import errno
import hashlib
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from twitchcat.dataset.images import ImageStore
from twitchcat.errors import DiskFull, StoreError


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    return ImageStore(tmp_path / "data" / "images")


def files(store: ImageStore) -> set[str]:
    return {path.relative_to(store.root).as_posix() for path in store.root.rglob("*") if path.is_file()}


def failing(call: Callable[..., Any], number: int, *, times: int) -> Callable[..., Any]:
    """The call, which fails with this error number from its `times`-th time on."""
    count = iter(range(1, 1_000_000))

    def fail(*arguments: Any, **options: Any) -> Any:
        if next(count) >= times:
            raise OSError(number, os.strerror(number))
        return call(*arguments, **options)

    return fail


def test_an_image_is_named_after_its_bytes(store: ImageStore) -> None:
    digest = hashlib.sha256(b"picture").hexdigest()
    (stored,) = store.put([b"picture"])
    assert (stored.path, stored.sha256, stored.bytes) == (f"{digest[:2]}/{digest}.jpg", digest, 7)
    assert store.read(stored.path) == b"picture"
    assert files(store) == {stored.path}


def test_the_same_bytes_are_stored_once(store: ImageStore) -> None:
    first, second = store.put([b"picture", b"picture"])
    (third,) = store.put([b"picture"])
    assert first == second == third
    assert files(store) == {first.path}


def test_bytes_are_on_disk_before_their_name_and_the_name_before_it_is_told(
    store: ImageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    fsync, replace = os.fsync, os.replace

    def note_fsync(descriptor: int) -> None:
        events.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "bytes")
        fsync(descriptor)

    def note_replace(source: Path, target: Path) -> None:
        events.append("name")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(os, "replace", note_replace)
    store.put([b"one", b"two"])
    assert events[:4] == ["bytes", "bytes", "name", "name"]
    assert set(events[4:]) == {"folder"}
    # Two folders of images, which stand in a new folder, which stands in the data directory.
    assert len(events[4:]) == 4


def test_an_image_that_was_there_is_made_durable_too(
    store: ImageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who put it there may have died before its folder was on disk."""
    (stored,) = store.put([b"picture"])
    synced: list[int] = []
    fsync = os.fsync

    def note(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    store.put([b"picture"])
    assert (store.root / stored.path).parent.stat().st_ino in synced


def test_a_left_over_of_another_size_is_written_anew(store: ImageStore) -> None:
    (stored,) = store.put([b"picture"])
    (store.root / stored.path).write_bytes(b"pict")
    store.put([b"picture"])
    assert store.read(stored.path) == b"picture"


@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT], ids=["disk full", "quota used up"])
def test_on_a_full_disk_nothing_is_left_half_written(
    number: int, times: int, store: ImageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    (before,) = store.put([b"before"])
    monkeypatch.setattr(os, "fsync", failing(os.fsync, number, times=times))
    with pytest.raises(DiskFull, match=r"free some or set data_dir"):
        store.put([b"one", b"two", b"three"])
    assert files(store) == {before.path}


def test_no_room_for_a_folder_leaves_nothing_either(
    store: ImageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    (before,) = store.put([b"before"])
    monkeypatch.setattr(
        os, "mkdir", failing(os.mkdir, errno.ENOSPC, times=3)
    )  # the first: for what is pending
    with pytest.raises(DiskFull):
        store.put([b"one", b"two", b"three"])
    assert files(store) == {before.path}


def test_other_trouble_with_the_disk_names_the_store(
    store: ImageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", failing(os.fsync, errno.EIO, times=1))
    with pytest.raises(StoreError, match="Input/output error") as caught:
        store.put([b"picture"])
    assert not isinstance(caught.value, DiskFull)
    assert str(store.root) in str(caught.value)
    assert files(store) == set()


def test_a_store_that_cannot_be_a_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "images").write_text("no folder")
    with pytest.raises(StoreError):
        ImageStore(tmp_path / "images").put([b"picture"])


@pytest.mark.parametrize("path", ["../secret", "ab/../../secret", "/etc/passwd", "ab/../../../etc/passwd"])
def test_a_path_out_of_the_store_is_refused(path: str, store: ImageStore, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "secret").write_text("secret")
    for use in (store.read, store.remove):
        with pytest.raises(StoreError, match="leads out of the image store"):
            use(path)
    assert (tmp_path / "data" / "secret").exists()


def test_an_image_that_is_not_there_is_an_error_to_read_and_none_to_remove(store: ImageStore) -> None:
    (stored,) = store.put([b"picture"])
    assert store.remove(stored.path) is True
    assert store.remove(stored.path) is False
    assert files(store) == set()
    with pytest.raises(StoreError):
        store.read(stored.path)


def test_a_changed_byte_is_found(store: ImageStore) -> None:
    (stored,) = store.put([b"picture"])
    assert store.is_intact(stored.path, stored.sha256)
    (store.root / stored.path).write_bytes(b"pictuRe")
    assert not store.is_intact(stored.path, stored.sha256)


def test_all_that_is_the_stores_can_be_listed_left_overs_included(store: ImageStore) -> None:
    assert store.folders() == []
    paths = {stored.path for stored in store.put([b"one", b"two"])}
    (store.root / ".pending" / "left-over").write_bytes(b"x")
    somebody_elses = store.root / next(iter(paths)).partition("/")[0]
    (somebody_elses / "notes.txt").write_bytes(b"precious")
    (somebody_elses / "@eaDir").mkdir()
    (store.root / "notes").mkdir()
    listed = {path for folder in store.folders() for path in store.files(folder)}
    assert listed == paths | {".pending/left-over"}
    assert list(store.files("zz")) == []
