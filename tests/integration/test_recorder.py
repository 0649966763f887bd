"""Recording a visit: images first, rows second, each moment of a channel once."""

import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.fixtures.collecting import Dataset
from twitchcat.dataset.images import ImageStore, StoredImage
from twitchcat.dataset.recorder import ChannelMemory, Recorded, Recorder
from twitchcat.dataset.visit import Outcome, TakenFrame, VisitOrder, VisitReport
from twitchcat.errors import DiskFull, StoreError
from twitchcat.twitch.entities import Category, Channel, LiveStream

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
SOMEONE = Channel(id="1", login="someone", display_name="Someone")
CHESS = Category(id="10", name="Chess", is_game=True)
DOOM = Category(id="20", name="Doom", is_game=True)


def stream(channel: Channel = SOMEONE, category: Category | None = CHESS) -> LiveStream:
    return LiveStream(
        id=f"s{channel.id}",
        channel=channel,
        category=category,
        title="hello",
        tags=("English",),
        language="en",
        viewers=5,
        started_at=AT - timedelta(hours=1),
    )


def report(
    live: LiveStream | None = None, *, offset_s: float = 0, outcome: Outcome = Outcome.KEPT
) -> VisitReport:
    live = live or stream()
    at = AT + timedelta(seconds=offset_s)
    return VisitReport(
        order=VisitOrder(channel=live.channel, stream=live, frames=6),
        outcome=outcome,
        started_at=at,
        finished_at=at + timedelta(seconds=1),
        bytes_fetched=1000,
        skipped={"blank": 2},
    )


def frame(second: int, picture: bytes | None = None) -> TakenFrame:
    return TakenFrame(
        captured_at=AT + timedelta(seconds=second),
        jpeg=picture or b"picture %d" % second,
        width=640,
        height=360,
        phash=second - 5,
    )


@pytest.fixture
def recorder(dataset: Dataset) -> Recorder:
    return Recorder(dataset.database, dataset.store)


def record(
    recorder: Recorder,
    *seconds: int,
    of: VisitReport | None = None,
    after: Category | None = CHESS,
) -> Recorded:
    frames = [frame(second) for second in seconds]
    return recorder.record(of or report(), frames, variant="360p", after=after)


def remembered(
    recorder: Recorder, channel_id: str = "1", *, hashes: int = 10, now: datetime = AT
) -> ChannelMemory:
    """What is known of a channel that declares chess."""
    return recorder.memory(channel_id, category_id=CHESS.id, hashes=hashes, now=now)


def test_a_visit_is_stored_with_all_its_provenance(recorder: Recorder, dataset: Dataset) -> None:
    recorded = record(recorder, 0, 2, 4)
    assert recorded == Recorded(frames=3, image_bytes=len(b"picture 0") * 3)
    (capture,) = dataset.captures()
    assert (capture.broadcast_id, capture.channel_id, capture.variant) == ("s1", "1", "360p")
    assert (capture.category_id, capture.category_after_id) == ("10", "10")
    assert (capture.outcome, capture.reason, capture.frames_kept) == ("kept", None, 3)
    assert (capture.bytes_fetched, capture.skipped) == (1000, {"blank": 2})
    assert (capture.started_at, capture.finished_at) == (AT, AT + timedelta(seconds=1))
    assert dataset.rows("SELECT position, captured_at, category_id, width, phash FROM frames ORDER BY 1") == [
        (0, AT, "10", 640, -5),
        (1, AT + timedelta(seconds=2), "10", 640, -3),
        (2, AT + timedelta(seconds=4), "10", 640, -1),
    ]
    assert dataset.rows("SELECT category, channel, broadcast_id, language FROM frame_index LIMIT 1") == [
        ("Chess", "someone", "s1", "en")
    ]
    assert dataset.files() == dataset.paths()


def test_a_visit_without_frames_is_stored_too(recorder: Recorder, dataset: Dataset) -> None:
    changed = replace(report(outcome=Outcome.CHANGED), reason="now Doom")
    assert record(recorder, of=changed, after=DOOM) == Recorded(frames=0, image_bytes=0)
    (capture,) = dataset.captures()
    assert (capture.outcome, capture.reason, capture.category_after_id) == ("changed", "now Doom", "20")


def test_a_channel_that_is_offline_has_no_broadcast(recorder: Recorder, dataset: Dataset) -> None:
    offline = replace(
        report(outcome=Outcome.OFFLINE), order=VisitOrder(channel=SOMEONE, stream=None, frames=6)
    )
    record(recorder, of=offline, after=None)
    (capture,) = dataset.captures()
    assert (capture.outcome, capture.broadcast_id, capture.category_id) == ("offline", None, None)


def test_a_moment_of_a_channel_is_stored_once(recorder: Recorder, dataset: Dataset) -> None:
    """Another collector, to whom the claim was lost, looked at the same window."""
    record(recorder, 0, 2, 4)
    again = record(recorder, 2, 4, 6, of=report(offset_s=3))
    assert again.frames == 1
    assert dataset.rows("SELECT frames_kept FROM captures ORDER BY id") == [(3,), (1,)]
    assert dataset.frames() == 4
    assert dataset.files() == dataset.paths()


def test_the_same_moment_of_two_channels_is_two_frames(recorder: Recorder, dataset: Dataset) -> None:
    other = Channel(id="2", login="other", display_name="Other")
    record(recorder, 0)
    assert record(recorder, 0, of=report(stream(other))).frames == 1
    assert dataset.frames() == 2
    assert len(dataset.files()) == 1, "the same bytes are one image"


class LosingStore(ImageStore):
    """Stores images, and then something happens before the rows."""

    def put(self, images: Sequence[bytes]) -> list[StoredImage]:
        super().put(images)
        raise DiskFull


def test_what_breaks_between_image_and_row_leaves_an_image_without_row(dataset: Dataset) -> None:
    with pytest.raises(DiskFull):
        record(Recorder(dataset.database, LosingStore(dataset.store.root)), 0, 2)
    assert dataset.captures() == []
    assert dataset.paths() == set()
    assert len(dataset.files()) == 2


def test_a_refused_row_takes_the_whole_visit_back(recorder: Recorder, dataset: Dataset) -> None:
    dataset.change("ALTER TABLE frames ADD CHECK (position < 1)")
    with pytest.raises(StoreError):
        record(recorder, 0, 2)
    assert dataset.captures() == []
    assert dataset.frames() == 0


def test_what_is_known_of_categories_and_channels_follows_twitch(
    recorder: Recorder, dataset: Dataset
) -> None:
    record(recorder, 0)
    renamed = replace(SOMEONE, login="someone_else", display_name="Else")
    other_name = Category(id="10", name="Chess!", is_game=None)
    record(recorder, 2, of=report(stream(renamed, other_name), offset_s=2), after=other_name)
    assert dataset.rows("SELECT login, display_name, language FROM channels") == [
        ("someone_else", "Else", "en")
    ]
    assert dataset.rows("SELECT name, is_game FROM categories") == [("Chess!", True)]


def test_the_memory_of_a_channel(recorder: Recorder) -> None:
    nothing = remembered(recorder)
    assert (nothing.last_visit_at, nothing.last_frame_at, nothing.hashes) == (None, None, ())
    record(recorder, 0, 2, 4)
    later = report(offset_s=60, outcome=Outcome.AD)
    record(recorder, of=later)
    memory = remembered(recorder, hashes=2)
    assert memory.last_visit_at == AT + timedelta(seconds=60)
    assert memory.last_frame_at == AT + timedelta(seconds=4)
    assert memory.hashes == (-1, -3), "the latest first, so many and no more"
    assert remembered(recorder, "2").hashes == ()


def test_since_when_a_channel_declares_its_category(recorder: Recorder) -> None:
    """As far as visits saw: at the latest at the first one after the last with another category."""
    record(recorder, 0)
    assert remembered(recorder).category_since is None, "it was never seen with another"
    record(recorder, of=report(stream(category=DOOM), offset_s=60), after=DOOM)
    now = AT + timedelta(seconds=120)
    assert remembered(recorder, now=now).category_since == now, "it was another until now"
    record(recorder, of=report(offset_s=120))
    record(recorder, of=report(offset_s=180))
    assert remembered(recorder).category_since == now
    record(recorder, of=report(offset_s=240), after=DOOM)
    later = AT + timedelta(seconds=300)
    assert remembered(recorder, now=later).category_since == later


def test_many_visits_of_one_category_are_recorded_at_once(recorder: Recorder, dataset: Dataset) -> None:
    """All touch the rows of two categories, in whatever order they declare them."""
    failures: list[BaseException] = []
    together = threading.Barrier(8)

    def one(number: int) -> None:
        channel = Channel(id=str(number), login=f"c{number}", display_name="")
        before, after = (CHESS, DOOM) if number % 2 else (DOOM, CHESS)
        together.wait()
        try:
            for turn in range(5):
                visit = report(stream(channel, before), offset_s=10 * turn)
                record(recorder, 10 * turn, 10 * turn + 2, of=visit, after=after)
        except BaseException as error:  # noqa: BLE001 - raised again below, where pytest sees it
            failures.append(error)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert dataset.frames() == 80
