"""Keeping: what the dataset holds, rows and images that agree, and removal."""

import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.fixtures.collecting import Collecting, Dataset, Heard
from twitchcat.config import RetentionSettings
from twitchcat.dataset.database import Database
from twitchcat.dataset.images import ImageStore, StoredImage
from twitchcat.dataset.info import dataset_info
from twitchcat.dataset.recorder import Recorder
from twitchcat.dataset.removal import Removed, Selection, remove
from twitchcat.dataset.sync import SyncReport, sync
from twitchcat.dataset.visit import Outcome, TakenFrame, VisitOrder, VisitReport
from twitchcat.errors import ConfigError, NoSuchChannel
from twitchcat.twitch.entities import Category, Channel, LiveStream

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
CHESS = Category(id="10", name="Chess", is_game=True)
DOOM = Category(id="20", name="Doom", is_game=True)
FOR_EVER = RetentionSettings()


def report(login: str, category: Category | None, *, at: datetime = AT) -> VisitReport:
    channel = Channel(id=f"id-{login}", login=login, display_name=login)
    stream = LiveStream(
        id=f"stream-{login}",
        channel=channel,
        category=category,
        title="",
        tags=(),
        language="en",
        viewers=1,
        started_at=AT - timedelta(hours=1),
    )
    return VisitReport(
        order=VisitOrder(channel=channel, stream=stream, frames=6),
        outcome=Outcome.KEPT,
        started_at=at,
        finished_at=at,
    )


def frames(*pictures: bytes, at: datetime = AT) -> list[TakenFrame]:
    return [
        TakenFrame(captured_at=at + timedelta(seconds=2 * n), jpeg=one, width=640, height=360, phash=n)
        for n, one in enumerate(pictures)
    ]


def record(
    dataset: Dataset,
    login: str,
    category: Category,
    *pictures: bytes,
    at: datetime = AT,
    store: ImageStore | None = None,
) -> None:
    """A visit that kept these pictures, two seconds apart."""
    Recorder(dataset.database, store or dataset.store).record(
        report(login, category, at=at), frames(*pictures, at=at), variant="360p", after=category
    )


@pytest.fixture
def filled(dataset: Dataset) -> Dataset:
    """Frames of three channels in two categories; one image is shared by two channels."""
    record(dataset, "a", CHESS, b"a0", b"a1", b"shared")
    record(dataset, "a", DOOM, b"a2", at=AT + timedelta(hours=2))
    record(dataset, "b", CHESS, b"shared", b"b1", at=AT + timedelta(hours=1))
    record(dataset, "c", DOOM, b"c0")
    return dataset


def path_of(dataset: Dataset, login: str, position: int) -> Path:
    path = dataset.value(
        "SELECT path FROM frame_index WHERE channel = :login AND category = 'Chess' AND position = :position",
        login=login,
        position=position,
    )
    return dataset.store.root / str(path)


def synced(dataset: Dataset, *, deep: bool = False, dry_run: bool = False) -> SyncReport:
    return sync(dataset.database, dataset.store, FOR_EVER, deep=deep, dry_run=dry_run)


def pictures(dataset: Dataset, login: str) -> set[bytes]:
    rows = dataset.rows("SELECT path FROM frame_index WHERE channel = :login", login=login)
    return {dataset.store.read(path) for (path,) in rows}


# What it holds


def test_an_empty_dataset_is_told_as_empty(dataset: Dataset) -> None:
    info = dataset_info(dataset.database, target=10)
    assert (info.frames, info.bytes, info.channels, info.captures) == (0, 0, 0, 0)
    assert info.categories == ()
    assert info.outcomes == {}


def test_info_counts_by_category(filled: Dataset) -> None:
    offline = VisitReport(
        order=VisitOrder(channel=Channel(id="id-d", login="d", display_name="d"), stream=None, frames=6),
        outcome=Outcome.OFFLINE,
        started_at=AT,
        finished_at=AT,
    )
    Recorder(filled.database, filled.store).record(offline, [], variant=None, after=None)
    info = dataset_info(filled.database, target=4)
    assert (info.frames, info.channels, info.captures) == (7, 3, 5)
    assert info.bytes == 2 * 5 + 6 * 2
    assert info.outcomes == {"kept": 4, "offline": 1}
    chess, doom = info.categories
    assert (chess.name, chess.frames, chess.channels, chess.captures, chess.bytes) == ("Chess", 5, 2, 2, 18)
    assert (doom.name, doom.frames, doom.channels, doom.captures, doom.bytes) == ("Doom", 2, 2, 2, 4)
    assert (chess.first, chess.last) == (AT, AT + timedelta(hours=1, seconds=2))
    assert (chess.progress, doom.progress) == (1.0, 0.5)


# Rows and images that agree


def test_a_sound_dataset_is_left_alone(filled: Dataset) -> None:
    before = filled.files()
    assert synced(filled, deep=True) == SyncReport()
    assert filled.files() == before
    assert filled.frames() == 7


def damage(filled: Dataset) -> None:
    """Two images lost, one of them shared by two rows; two files too many, one of them half written."""
    path_of(filled, "a", 0).unlink()
    path_of(filled, "a", 2).unlink()
    filled.store.put([b"orphan"])
    (filled.store.root / ".pending" / "half").write_bytes(b"ha")


def test_a_dry_run_tells_exactly_what_is_wrong_and_changes_nothing(filled: Dataset) -> None:
    damage(filled)
    files, rows = filled.files(), filled.frames()
    expected = SyncReport(rows_without_image=3, images_without_row=2)
    assert synced(filled, dry_run=True) == expected
    assert synced(filled, dry_run=True) == expected
    assert (filled.files(), filled.frames()) == (files, rows)


def test_what_stands_alone_is_removed_in_both_directions(filled: Dataset) -> None:
    damage(filled)
    assert synced(filled) == SyncReport(rows_without_image=3, images_without_row=2, removed=5)
    assert filled.frames() == 4
    assert filled.files() == filled.paths()
    assert synced(filled, deep=True) == SyncReport()


def test_only_a_deep_look_finds_a_flipped_byte(filled: Dataset) -> None:
    path_of(filled, "b", 1).write_bytes(b"b2")
    path_of(filled, "a", 2).write_bytes(b"sharEd")
    assert synced(filled) == SyncReport()
    assert synced(filled, deep=True, dry_run=True) == SyncReport(checksum_mismatches=3)
    assert synced(filled, deep=True).checksum_mismatches == 3
    assert filled.frames() == 4
    assert filled.files() == filled.paths()
    assert pictures(filled, "b") == set()


def test_a_store_that_is_gone_is_told_as_such(filled: Dataset) -> None:
    for path in filled.files():
        (filled.store.root / path).unlink()
    assert synced(filled, dry_run=True) == SyncReport(rows_without_image=7)
    assert synced(filled).removed == 7
    assert filled.frames() == 0


def test_files_that_nobody_expects_there_do_no_harm(filled: Dataset) -> None:
    (filled.store.root / "notes.txt").write_text("mine")
    (filled.store.root / "zz%_").mkdir()
    assert synced(filled) == SyncReport()
    assert (filled.store.root / "notes.txt").exists()


def test_progress_is_told_folder_by_folder_and_a_stop_ends_it(filled: Dataset) -> None:
    told: list[tuple[int, int]] = []
    stop = threading.Event()

    def note(done: int, total: int) -> None:
        told.append((done, total))
        if done == 2:
            stop.set()

    sync(filled.database, filled.store, FOR_EVER, progress=note, stop=stop)
    total = len({path.split("/")[0] for path in filled.files()} | {".pending"})
    assert told == [(1, total), (2, total)]


def test_frames_older_than_the_retention_setting_are_removed(dataset: Dataset) -> None:
    now = datetime.now(UTC)
    record(dataset, "old", CHESS, b"o0", b"both", at=now - timedelta(hours=25))
    record(dataset, "new", CHESS, b"n0", b"both", at=now - timedelta(hours=23))
    a_day = RetentionSettings(max_age=timedelta(days=1))
    assert sync(dataset.database, dataset.store, a_day, dry_run=True) == SyncReport(expired=2)
    assert dataset.frames() == 4
    assert sync(dataset.database, dataset.store, a_day) == SyncReport(expired=2, removed=2)
    assert pictures(dataset, "old") == set()
    assert pictures(dataset, "new") == {b"n0", b"both"}
    assert dataset.files() == dataset.paths()
    assert sync(dataset.database, dataset.store, a_day) == SyncReport()


# Beside a collector


class SlowStore(ImageStore):
    """Stops between image and row until it is told to go on."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.stored, self.go_on = threading.Event(), threading.Event()

    def put(self, images: Sequence[bytes]) -> list[StoredImage]:
        stored = super().put(images)
        self.stored.set()
        assert self.go_on.wait(30)
        return stored


def wait_until(holds: Callable[[], bool]) -> None:
    """Ask until it holds, half a minute at most."""
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def is_kept_waiting(database: Database) -> bool:
    """Whether somebody waits for an advisory lock of this database."""
    with database.begin() as connection:
        asked = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        mine = " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        return bool(connection.execute(text(asked + mine)).scalar_one())


def beside_a_writer(filled: Dataset, store: SlowStore, work: Callable[[], object]) -> None:
    """Begin a visit's recording, begin `work` between its images and its rows, let both end."""
    failures: list[BaseException] = []

    def run(call: Callable[[], object]) -> None:
        try:
            call()
        except BaseException as error:  # noqa: BLE001 - shown below
            failures.append(error)

    def write() -> None:
        record(filled, "d", CHESS, b"d0", b"a1", store=store)

    writer = threading.Thread(target=run, args=(write,))
    worker = threading.Thread(target=run, args=(work,))
    writer.start()
    assert store.stored.wait(30)
    worker.start()
    try:
        wait_until(lambda: is_kept_waiting(filled.database))
    finally:
        store.go_on.set()
        writer.join()
        worker.join()
    assert failures == []


def test_an_image_about_to_get_its_row_is_no_orphan(filled: Dataset) -> None:
    reports: list[SyncReport] = []
    beside_a_writer(filled, SlowStore(filled.store.root), lambda: reports.append(synced(filled)))
    assert reports == [SyncReport()]
    assert pictures(filled, "d") == {b"d0", b"a1"}


def test_an_image_that_is_just_being_used_again_is_not_removed(filled: Dataset) -> None:
    """The frame of channel a goes, while a visit to d stores the same bytes."""
    frame = filled.value("SELECT frame_id FROM frame_index WHERE channel = 'a' AND position = 1")
    beside_a_writer(
        filled,
        SlowStore(filled.store.root),
        lambda: remove(filled.database, filled.store, Selection(frames=(frame,)), dry_run=False),
    )
    assert pictures(filled, "a") == {b"a0", b"a2", b"shared"}
    assert pictures(filled, "d") == {b"d0", b"a1"}
    assert filled.files() == filled.paths()


def test_sync_beside_a_busy_collector_takes_nothing_that_is_whole(collecting: Collecting) -> None:
    dataset, stop = collecting.dataset, threading.Event()
    collecting.configure(collect={"per_category": 1000})
    reports: list[SyncReport] = []

    def keep_syncing() -> None:
        while not stop.is_set():
            reports.append(synced(dataset, deep=True))

    def move_on(_: VisitReport) -> None:
        collecting.clock.ahead_s += 10.0
        if len(heard.reports) >= 25:
            stop.set()

    heard = Heard(at_visit=move_on)
    syncing = threading.Thread(target=keep_syncing)
    syncing.start()
    try:
        collecting.collect(categories=["Chess", "Doom", "SuperTux"], heard=heard, stop=stop)
    finally:
        stop.set()
        syncing.join()
    assert reports
    assert set(map(str, reports)) == {str(SyncReport())}
    assert dataset.frames() == sum(one.frames_kept for one in heard.reports) > 0
    assert dataset.files() == dataset.paths()


# Removal


@pytest.mark.parametrize(
    ("selection", "left"),
    [
        pytest.param(
            Selection(channel="a"), {"b": {b"shared", b"b1"}, "c": {b"c0"}}, id="a channel: all of it"
        ),
        pytest.param(
            Selection(category="chess"), {"a": {b"a2"}, "c": {b"c0"}}, id="a category, in any case of letters"
        ),
        pytest.param(
            Selection(before=AT + timedelta(hours=1)),
            {"a": {b"a2"}, "b": {b"shared", b"b1"}},
            id="before a time",
        ),
        pytest.param(
            Selection(channel="a", category="Doom"),
            {"a": {b"a0", b"a1", b"shared"}, "b": {b"shared", b"b1"}, "c": {b"c0"}},
            id="a channel's frames of one category",
        ),
        pytest.param(
            Selection(channel="a", before=AT + timedelta(seconds=1)),
            {"a": {b"a1", b"shared", b"a2"}, "b": {b"shared", b"b1"}, "c": {b"c0"}},
            id="a channel's frames before a time",
        ),
    ],
)
def test_frames_that_meet_every_condition_are_removed(
    selection: Selection, left: dict[str, set[bytes]], filled: Dataset
) -> None:
    expected = remove(filled.database, filled.store, selection, dry_run=True)
    assert filled.frames() == 7, "a dry run removes nothing"
    removed = remove(filled.database, filled.store, selection, dry_run=False)
    assert removed == expected
    assert removed.frames == 7 - filled.frames()
    assert {login: pictures(filled, login) for login in "abc" if pictures(filled, login)} == left
    assert filled.files() == filled.paths(), "an image stays while a row names it, and no longer"


def test_single_frames_are_removed_by_their_ids(filled: Dataset) -> None:
    ids = tuple(one for (one,) in filled.rows("SELECT id FROM frames ORDER BY id LIMIT 2"))
    assert remove(filled.database, filled.store, Selection(frames=ids), dry_run=False) == Removed(
        frames=2, bytes=4
    )
    assert pictures(filled, "a") == {b"shared", b"a2"}


def test_frames_that_are_not_there_are_no_error(filled: Dataset) -> None:
    nothing = Selection(frames=(999_999,))
    assert remove(filled.database, filled.store, nothing, dry_run=False) == Removed(frames=0, bytes=0)


def test_with_a_whole_channel_everything_known_of_it_goes(filled: Dataset) -> None:
    filled.change("INSERT INTO watched_channels (login) VALUES ('a'), ('b')")
    filled.change(
        "INSERT INTO observations (login, observed_at, status)"
        " VALUES ('a', now(), 'offline'), ('b', now(), 'offline')"
    )
    removed = remove(filled.database, filled.store, Selection(channel="a"), dry_run=False)
    assert (removed.frames, removed.captures) == (4, 2)
    for query in (
        "SELECT login FROM channels",
        "SELECT login FROM watched_channels",
        "SELECT login FROM observations",
        "SELECT channel_id FROM captures",
        "SELECT channel_id FROM broadcasts",
    ):
        left = {value for (value,) in filled.rows(query)}
        assert left, f"what others have stays: {query}"
        assert left.isdisjoint({"a", "id-a"}), query


def test_with_some_frames_of_a_channel_its_visits_stay(filled: Dataset) -> None:
    removed = remove(filled.database, filled.store, Selection(channel="a", category="Chess"), dry_run=False)
    assert removed.captures == 0
    assert filled.value("SELECT count(*) FROM captures WHERE channel_id = 'id-a'") == 2


def test_many_frames_are_removed_in_batches(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twitchcat.dataset.removal.BATCH", 3)
    record(dataset, "a", CHESS, *(b"picture %d" % n for n in range(10)))
    record(dataset, "b", CHESS, b"picture 3")
    assert remove(dataset.database, dataset.store, Selection(channel="a"), dry_run=False).frames == 10
    assert pictures(dataset, "b") == {b"picture 3"}
    assert dataset.files() == dataset.paths()


@pytest.mark.parametrize(
    ("selection", "error", "words"),
    [
        pytest.param(Selection(channel="nobody"), NoSuchChannel, "no channel nobody", id="unknown channel"),
        pytest.param(Selection(category="Ches"), ConfigError, "no category 'Ches'", id="unknown category"),
    ],
)
def test_what_the_dataset_does_not_know_is_an_error(
    selection: Selection, error: type[Exception], words: str, filled: Dataset
) -> None:
    with pytest.raises(error, match=words):
        remove(filled.database, filled.store, selection, dry_run=True)
