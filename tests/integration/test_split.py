"""Splits in a real database: dealt, kept, inherited, held by constraints, audited and frozen."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from pgvector import HalfVector
from sqlalchemy import insert, text
from typer.testing import CliRunner

from twitchcat.cli.app import app
from twitchcat.config import Settings
from twitchcat.dataset import schema
from twitchcat.dataset.audit import audit
from twitchcat.dataset.collect import image_store
from twitchcat.dataset.database import Database
from twitchcat.dataset.recorder import Recorder
from twitchcat.dataset.revision import downgrade, upgrade
from twitchcat.dataset.snapshot import freeze
from twitchcat.dataset.split import split_by_time, split_dataset, split_report
from twitchcat.dataset.visit import Outcome, TakenFrame, VisitOrder, VisitReport
from twitchcat.errors import ConfigError, StoreError
from twitchcat.twitch.entities import Category, Channel, LiveStream

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
CATEGORIES = ("Chess", "Doom")

Visit = Callable[..., None]


@pytest.fixture
def visit(database: Database, settings: Settings) -> Visit:
    """Record a visit: `visit("ana", "Chess", frames=3, at=NOON)`, each frame with a hash of its own."""
    recorder = Recorder(database, image_store(settings))
    generator = np.random.default_rng(0)

    def _visit(
        login: str, category: str = "Chess", *, at: datetime = NOON, frames: int = 3, user: str | None = None
    ) -> None:
        channel = Channel(id=user or f"id of {login}", login=login, display_name=login)
        stream = LiveStream(
            id=f"{login} {at}",
            channel=channel,
            category=Category(id=f"id of {category}", name=category),
            title="",
            tags=(),
            language="en",
            viewers=0,
            started_at=at,
        )
        report = VisitReport(
            order=VisitOrder(channel=channel, stream=stream, frames=frames),
            outcome=Outcome.KEPT,
            started_at=at,
            finished_at=at + timedelta(minutes=1),
        )
        taken = [
            TakenFrame(
                captured_at=at + timedelta(seconds=i),
                jpeg=f"{login} {at} {i}".encode(),
                width=16,
                height=9,
                phash=int(generator.integers(-(2**63), 2**63)),
            )
            for i in range(frames)
        ]
        recorder.record(report, taken, variant="360p", after=stream.category)

    return _visit


@pytest.fixture
def channels(visit: Visit) -> None:
    """Two categories of eight channels each, three frames a channel."""
    for category in CATEGORIES:
        for i in range(8):
            visit(f"{category.lower()}_{i}", category)


def rows(database: Database, query: str) -> list[Any]:
    with database.begin(read_only=True) as connection:
        return [tuple(row) if len(row) > 1 else row[0] for row in connection.execute(text(query))]


def run(database: Database, statement: str) -> None:
    with database.begin() as connection:
        connection.execute(text(statement))


def splits(database: Database) -> dict[str, str | None]:
    return dict(rows(database, "SELECT login, split FROM channels"))


@pytest.mark.usefixtures("channels")
def test_every_category_is_in_every_split_and_frames_follow_their_channel(database: Database) -> None:
    report = split_dataset(database)
    assert report.dealt == 16
    assert report.warnings == ()
    assert {
        split: (getattr(one, split).channels, getattr(one, split).frames)
        for one in report.categories
        for split in ("train", "val", "test", "unassigned")
    } == {"train": (6, 18), "val": (1, 3), "test": (1, 3), "unassigned": (0, 0)}
    strays = "SELECT count(*) FROM frames JOIN channels c ON c.id = channel_id WHERE frames.split <> c.split"
    assert rows(database, strays) == [0]
    assert split_report(database).categories == report.categories


@pytest.mark.usefixtures("channels")
def test_the_seed_decides(database: Database) -> None:
    split_dataset(database, seed=1)
    first = splits(database)
    split_dataset(database, seed=2)
    assert splits(database) != first
    split_dataset(database, seed=1)
    assert splits(database) == first


@pytest.mark.usefixtures("channels")
def test_without_a_seed_only_new_channels_are_dealt(database: Database, visit: Visit) -> None:
    split_dataset(database, seed=4)
    before = splits(database)
    for i in range(4):
        visit(f"new_{i}")
    report = split_dataset(database)
    after = splits(database)
    assert report.dealt == 4
    assert {login: after[login] for login in before} == before
    assert None not in after.values()


def test_few_channels_are_warned_of(database: Database, visit: Visit) -> None:
    visit("a1", "Art")
    visit("c1", "Chess")
    visit("c2", "Chess")
    assert split_dataset(database).warnings == (
        "Art: no channel in val and test: it has 1 channel, collect from 3 or more",
        "Chess: no channel in val: it has 2 channels, collect from 3 or more",
    )


def test_users_who_had_one_login_after_another_are_one_channel(database: Database, visit: Visit) -> None:
    for i in range(3):
        visit(f"c{i}")
        visit(f"c{i}", user=f"later {i}")
    split_dataset(database)
    assert rows(database, "SELECT count(DISTINCT split) FROM channels GROUP BY login") == [1, 1, 1]
    visit("c0", user="latest")
    assert split_dataset(database).dealt == 1
    assert rows(database, "SELECT count(DISTINCT split) FROM channels GROUP BY login") == [1, 1, 1]


def test_new_frames_of_a_channel_inherit_its_split(database: Database, visit: Visit) -> None:
    for i in range(3):
        visit(f"c{i}")
    split_dataset(database)
    for i in range(3):
        visit(f"c{i}", at=NOON + timedelta(hours=1))
    visit("stranger")
    found = rows(
        database, "SELECT channel, count(DISTINCT split), count(split) FROM frame_index GROUP BY 1 ORDER BY 1"
    )
    assert found == [("c0", 1, 6), ("c1", 1, 6), ("c2", 1, 6), ("stranger", 0, 0)]


def test_by_time_the_test_is_of_channels_first_seen_later(database: Database, visit: Visit) -> None:
    later = NOON + timedelta(days=7)
    for i in range(4):
        visit(f"old_{i}")
        visit(f"old_{i}", at=later)
    for i in range(2):
        visit(f"new_{i}", at=later)
    report = split_by_time(database, NOON + timedelta(days=1))
    assert report.channels["test"] == ("new_0", "new_1")
    assert (len(report.channels["train"]), len(report.channels["val"])) == (3, 1)
    assert report.categories[0].unassigned.frames == 12
    boundary = (
        "captured_at >= '2026-03-02' AND split <> 'test' OR captured_at < '2026-03-02' AND split = 'test'"
    )
    assert rows(database, f"SELECT count(*) FROM frames WHERE {boundary}") == [0]  # noqa: S608 - ours
    visit("old_0", at=later + timedelta(days=1))
    visit("new_0", at=later + timedelta(days=1))
    newest = (
        "SELECT channel, split FROM frame_index WHERE captured_at > '2026-03-09' GROUP BY 1, 2 ORDER BY 1"
    )
    assert rows(database, newest) == [("new_0", "test"), ("old_0", None)]


@pytest.mark.parametrize("days", [-1, 1], ids=["before everything", "after everything"])
def test_a_date_without_both_sides_is_refused(database: Database, visit: Visit, days: int) -> None:
    visit("c0")
    split_dataset(database)
    with pytest.raises(ConfigError, match="every channel was first seen"):
        split_by_time(database, NOON + timedelta(days=days))
    assert splits(database) == {"c0": "train"}


def test_an_empty_dataset_is_not_split(database: Database) -> None:
    with pytest.raises(ConfigError, match="holds no frames"):
        split_dataset(database)


@pytest.mark.usefixtures("channels")
@pytest.mark.parametrize(
    "statement",
    [
        pytest.param("UPDATE frames SET split = 'test' WHERE id = {frame}", id="one frame"),
        pytest.param("UPDATE frames SET split = 'test' WHERE channel_id = '{channel}'", id="its frames"),
        pytest.param(
            "INSERT INTO frames (capture_id, channel_id, category_id, position, captured_at, width, height,"
            " bytes, sha256, phash, path, split)"
            " SELECT capture_id, channel_id, category_id, 99, now(), width, height, bytes, sha256, phash,"
            " path, 'test' FROM frames WHERE id = {frame}",
            id="a new frame",
        ),
        pytest.param(
            "INSERT INTO channels (id, login, display_name, split) VALUES ('{channel}', 'x', 'x', 'test')",
            id="the channel again",
        ),
        pytest.param("UPDATE channels SET split = 'both' WHERE id = '{channel}'", id="a split there is not"),
    ],
)
def test_no_sql_can_put_a_channel_into_two_splits(database: Database, statement: str) -> None:
    split_dataset(database)
    ((frame, channel),) = rows(database, "SELECT id, channel_id FROM frames WHERE split = 'train' LIMIT 1")
    with pytest.raises(StoreError, match="refused"):
        run(database, statement.format(frame=frame, channel=channel))
    assert set(rows(database, f"SELECT split FROM frames WHERE channel_id = '{channel}'")) == {"train"}  # noqa: S608


@pytest.mark.usefixtures("channels")
def test_a_channel_that_is_moved_takes_its_frames_along(database: Database) -> None:
    split_dataset(database)
    run(database, "UPDATE channels SET split = 'test'")
    assert set(rows(database, "SELECT split FROM frames")) == {"test"}
    run(database, "UPDATE channels SET split = NULL")
    assert set(rows(database, "SELECT split FROM frames")) == {None}
    run(database, "DELETE FROM channels")
    assert rows(database, "SELECT count(*) FROM frames") == [0]


@pytest.mark.usefixtures("channels")
def test_the_revision_before_knows_splits_of_frames_alone(database: Database) -> None:
    split_dataset(database)
    downgrade(database, "0001")
    assert rows(database, "SELECT count(split) FROM frames") == [48]
    upgrade(database)
    assert rows(database, "SELECT count(split) FROM frames") == [0]
    split_dataset(database)
    assert rows(database, "SELECT count(split) FROM frames") == [48]


def plant(database: Database, *, into: str, like: str, flip: int = 0) -> tuple[int, int]:
    """Give a frame of one split the hash of one of another, but for some bits: their ids."""
    (copy, (original, phash)) = (
        rows(database, f"SELECT min(id) FROM frames WHERE split = '{into}'")[0],  # noqa: S608 - ours
        rows(database, f"SELECT id, phash FROM frames WHERE split = '{like}' ORDER BY id LIMIT 1")[0],  # noqa: S608
    )
    run(database, f"UPDATE frames SET phash = {phash ^ flip} WHERE id = {copy}")  # noqa: S608 - ours
    return copy, original


@pytest.mark.usefixtures("channels")
@pytest.mark.parametrize(("into", "like"), [("test", "train"), ("val", "train"), ("test", "val")], ids=str)
def test_a_planted_near_duplicate_is_found_and_dropped_from_the_later_split(
    database: Database, into: str, like: str
) -> None:
    split_dataset(database)
    copy, original = plant(database, into=into, like=like, flip=0b101)
    (leak,) = audit(database).leaks
    assert (leak.frame.frame_id, leak.resembles.frame_id, leak.bits) == (copy, original, 2)
    assert (leak.frame.split, leak.resembles.split) == (into, like)
    assert audit(database, bits=1).leaks == ()
    dropped = audit(database, drop=True)
    assert (dropped.dropped, dropped.compared) == (1, 48)
    assert rows(database, "SELECT id FROM frames WHERE split IS NULL") == [copy]
    after = audit(database)
    assert (after.leaks, after.compared) == ((), 47)
    split_dataset(database)  # without a seed: what was dropped stays out
    assert rows(database, "SELECT id FROM frames WHERE split IS NULL") == [copy]


@pytest.mark.usefixtures("channels")
def test_embeddings_find_what_hashes_do_not(database: Database) -> None:
    split_dataset(database)
    generator = np.random.default_rng(1)
    test = rows(database, "SELECT id FROM frames WHERE split = 'test' ORDER BY id")
    train = rows(database, "SELECT id FROM frames WHERE split = 'train' ORDER BY id")
    vectors = {frame: generator.normal(size=32) for frame in (*test, *train)}
    vectors[test[2]] = 3 * vectors[train[5]] + generator.normal(size=32) * 0.01
    with database.begin() as connection:
        for frame, vector in vectors.items():
            row = {"frame_id": frame, "encoder": "e", "dims": 32, "vector": HalfVector(vector)}
            connection.execute(insert(schema.Embedding).values(row))
    report = audit(database)
    assert report.encoders == ("e",)
    (leak,) = report.leaks
    assert (leak.frame.frame_id, leak.resembles.frame_id) == (test[2], train[5])
    assert (leak.bits, leak.encoder) == (None, "e")
    assert leak.cosine == pytest.approx(1.0, abs=0.01)


def test_nothing_is_audited_before_the_split(database: Database, visit: Visit) -> None:
    visit("c0")
    with pytest.raises(ConfigError, match="no frame has a split yet"):
        audit(database)
    with pytest.raises(ConfigError, match="no frame has a split yet"):
        freeze(database)


@pytest.mark.usefixtures("channels")
def test_a_snapshot_is_what_the_dataset_says_and_the_same_each_time(database: Database) -> None:
    split_dataset(database)
    snapshot = freeze(database)
    assert [one.name for one in snapshot.classes] == ["Chess", "Doom"]
    assert {split: len(snapshot.of(split)) for split in ("train", "val", "test")} == {
        "train": 36,
        "val": 6,
        "test": 6,
    }
    wanted = "SELECT frame_id, path, sha256, category, channel, position, split FROM frame_index"
    assert {
        (one.frame_id, one.path, one.sha256, one.category, one.channel, one.position, one.split)
        for one in snapshot.frames
    } == set(rows(database, wanted))
    assert freeze(database).fingerprint == snapshot.fingerprint
    run(database, "UPDATE frames SET split = NULL WHERE id = (SELECT min(id) FROM frames)")
    assert freeze(database).fingerprint != snapshot.fingerprint


@pytest.mark.usefixtures("channels")
def test_a_snapshot_may_be_of_some_categories(database: Database) -> None:
    split_dataset(database)
    for name in ("chess", "id of Chess"):
        assert [one.name for one in freeze(database, categories=[name]).classes] == ["Chess"]
    with pytest.raises(ConfigError, match="no frame with a split is of Art"):
        freeze(database, categories=["Chess", "Art"])


@pytest.mark.usefixtures("channels")
def test_the_command_prints_splits_and_leaks(database: Database, settings: Settings) -> None:
    assert settings.database.url is not None
    environment = {
        "TWITCHCAT_DATA_DIR": str(settings.data_dir),
        "TWITCHCAT_DATABASE__URL": settings.database.url.get_secret_value(),
    }

    def twitchcat(*options: str) -> Any:
        result = CliRunner().invoke(app, ["dataset", "split", *options, "--json"], env=environment)
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout)

    printed = twitchcat("--seed", "3", "--val", "0.25")
    assert {split: len(logins) for split, logins in printed["channels"].items()} == {
        "train": 10,
        "val": 4,
        "test": 2,
    }
    assert twitchcat("--show")["channels"] == printed["channels"]
    plant(database, into="test", like="train")
    assert twitchcat("--audit")["found"] == 1
    assert twitchcat("--audit", "--drop")["dropped"] == 1
    shown = CliRunner().invoke(app, ["dataset", "split", "--show"], env=environment)
    assert "test 2 channels, 5 frames" in shown.stdout
    refused = CliRunner().invoke(app, ["dataset", "split", "--drop"], env=environment)
    assert refused.exit_code == 2
