"""One piece of footage: is it known, which frames does it give, and where do they go."""

import hashlib
import threading
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select

from twitchcat.config import Settings
from twitchcat.dataset import schema
from twitchcat.dataset.database import Database
from twitchcat.dataset.images import ImageStore, describe
from twitchcat.dataset.importing.categories import LOCAL
from twitchcat.dataset.importing.footage import Footage, Problem, slug
from twitchcat.dataset.recorder import Recorder
from twitchcat.dataset.sift import Sieve
from twitchcat.dataset.visit import Outcome, TakenFrame, VisitOrder, VisitReport
from twitchcat.errors import ConfigError, FileUnreadable, StoreError
from twitchcat.frames.files import VideoInfo, content_hash, evenly, every, frames_at, probe, read_image
from twitchcat.frames.picture import encode_jpeg, scale_to_height
from twitchcat.twitch.entities import Category, Channel, LiveStream

#: Frames of one capture: they are held in memory until all are there.
MAX_FRAMES = 5000
#: Footage that does not say when it was taken gets a time from here on, always the same for the same file.
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_SPREAD_US = 3650 * 86_400 * 1_000_000  # ten years, in which files of one channel hardly ever overlap
_IMAGE_S = 1.0  # how long the last image of a capture is shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """Which frames of a video are taken."""

    every_s: float = 2.0  #: seconds apart, as the keyframes of a live stream are
    frames: int | None = None  #: so many instead, evenly over the whole length

    def __post_init__(self) -> None:
        if not self.every_s > 0:
            raise ConfigError("--every takes seconds, more than 0")
        if self.frames is not None and not 0 < self.frames <= MAX_FRAMES:
            raise ConfigError(f"--frames takes a number from 1 to {MAX_FRAMES}")

    def times(self, start_s: float, end_s: float) -> tuple[float, ...]:
        """The times to take frames at. Raises ConfigError if they are too many for one capture."""
        if self.frames is not None:
            return evenly(self.frames, start_s=start_s, end_s=end_s)
        if (end_s - start_s) / self.every_s > MAX_FRAMES:
            raise ConfigError(f"gives more than {MAX_FRAMES} frames: use --frames or a larger --every")
        return every(self.every_s, start_s=start_s, end_s=end_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """How one piece of footage went."""

    frames: int = 0
    image_bytes: int = 0
    left_out: int = 0
    known: bool = False
    given_up: bool = False  #: somebody asked to stop
    problem: Problem | None = None
    error: StoreError | None = None


class _Stopped(Exception):
    """Somebody asked to stop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Recording:
    """The footage as the broadcast and the visit it is stored as."""

    id: str
    began: datetime
    start_s: float
    end_s: float
    variant: str

    @property
    def span(self) -> tuple[datetime, datetime]:
        return self.at(self.start_s), self.at(self.end_s)

    def at(self, seconds: float) -> datetime:
        return self.began + timedelta(seconds=seconds)


class Taker:
    """Takes and stores footage, several pieces at a time. Thread-safe."""

    def __init__(
        self,
        database: Database,
        store: ImageStore,
        settings: Settings,
        *,
        categories: Mapping[str, Category],
        sampling: Sampling,
        sieve: bool,
        stop: threading.Event,
    ) -> None:
        self._database = database
        self._recorder = Recorder(database, store)
        self._settings = settings
        self._categories = categories
        self._sampling = sampling
        self._sieve = sieve
        self._stop = stop
        self._locks: dict[str, threading.Lock] = {}  # by recording; CPython's setdefault is atomic

    def take(self, footage: Footage) -> Done:
        """Import one piece of footage; the answer tells everything that went wrong."""
        try:
            return self._take_video(footage) if footage.video else self._take_images(footage)
        except (FileUnreadable, ConfigError) as error:
            why = str(error).removeprefix(f"{footage.video}: ")
            return Done(problem=Problem(file=footage.name, why=why))
        except StoreError as error:
            return Done(error=error)
        except _Stopped:
            return Done(given_up=True)

    def _take_video(self, footage: Footage) -> Done:
        path, entry = footage.video, footage.entry
        assert path is not None  # noqa: S101 - told apart by the caller
        sha256 = content_hash(path)
        if entry.sha256 is not None and entry.sha256.lower() != sha256:
            raise ConfigError("is not the file of the list: its SHA-256 differs")
        video = probe(path)
        end_s = min(video.duration_s, entry.end_s if entry.end_s is not None else video.duration_s)
        start_s = entry.start_s or 0.0
        if start_s >= end_s:
            raise ConfigError(f"ends after {video.duration_s:.1f} s, before the span begins")
        recording = _Recording(
            id=f"{LOCAL}{sha256}",
            began=entry.started_at or _made_up(sha256),
            start_s=start_s,
            end_s=end_s,
            variant=f"{video.height}p",
        )
        # A file that is listed under two names is one channel, the first one's.
        with self._locks.setdefault(recording.id, threading.Lock()):
            return self._take_span(footage, recording, video)

    def _take_span(self, footage: Footage, recording: _Recording, video: VideoInfo) -> Done:
        category = self._categories[footage.entry.category]
        if (stored := self._stored_as(recording)) is not None:
            if stored != category.name:
                raise ConfigError(f"is in the dataset as {stored}, not {category.name}: remove that first")
            return Done(known=True)
        frames, left_out = [], 0
        sieve = self._new_sieve()
        times = self._sampling.times(recording.start_s, recording.end_s)
        with closing(frames_at(video, times)) as shown:
            for one in shown:
                frame = self._frame(one.rgb, recording.at(one.at_s), sieve)
                frames += [frame] if frame is not None else []
                left_out += frame is None
        return self._record(footage, recording, frames, category=category, left_out=left_out)

    def _take_images(self, footage: Footage) -> Done:
        entry = footage.entry
        category = self._categories[entry.category]
        # By its name and not by its pictures: images that are added later belong to it too.
        name = hashlib.sha256(slug(footage.channel).encode()).hexdigest()
        began = entry.started_at or _made_up(name)
        frames: dict[str, TakenFrame] = {}
        height, broken, sieve = 0, [], self._new_sieve()
        for picture in footage.pictures:
            at = began + timedelta(seconds=picture.at_s)
            try:
                frame = self._frame(read_image(picture.path), at, sieve)
            except FileUnreadable as error:
                broken.append(str(error))
                continue
            if frame is not None:
                frames.setdefault(describe(frame.jpeg).path, frame)
                height = max(height, frame.height)
        new = self._unknown(frames)
        left_out = len(footage.pictures) - len(broken) - len(new)
        problem = Problem(file=footage.name, why="; ".join(broken)) if broken else None
        if not new:
            known = not broken and left_out > 0 and bool(frames)
            return Done(known=known, left_out=0 if known else left_out, problem=problem)
        recording = _Recording(
            id=f"{LOCAL}{name}",
            began=began,
            start_s=(new[0].captured_at - began).total_seconds(),
            end_s=(new[-1].captured_at - began).total_seconds() + _IMAGE_S,
            variant=f"{height}p",
        )
        return self._record(footage, recording, new, category=category, left_out=left_out, problem=problem)

    def _new_sieve(self) -> Sieve:
        if not self._sieve:
            return Sieve((), blank=-1.0, near_identical=-1)  # keeps everything
        collect = self._settings.collect
        return Sieve((), blank=collect.blank, near_identical=collect.near_identical)

    def _frame(self, rgb: NDArray[np.uint8], at: datetime, sieve: Sieve) -> TakenFrame | None:
        if self._stop.is_set():
            raise _Stopped
        images = self._settings.images
        rgb = scale_to_height(rgb, images.height)
        sifted = sieve.sift(rgb)
        if sifted.fault is not None:
            return None
        return TakenFrame(
            captured_at=at,
            jpeg=encode_jpeg(rgb, quality=images.quality),
            width=rgb.shape[1],
            height=rgb.shape[0],
            phash=sifted.phash,
        )

    def _record(
        self,
        footage: Footage,
        recording: _Recording,
        frames: list[TakenFrame],
        *,
        category: Category,
        left_out: int,
        problem: Problem | None = None,
    ) -> Done:
        channel = self._channel(footage, recording)
        began, ended = recording.span
        stream = LiveStream(
            id=recording.id,
            channel=channel,
            category=category,
            title=footage.video.name if footage.video else footage.channel,
            tags=(),
            language=footage.entry.language or "other",
            viewers=0,
            started_at=recording.began,
        )
        report = VisitReport(
            order=VisitOrder(channel=channel, stream=stream, frames=len(frames)),
            outcome=Outcome.KEPT,
            skipped={"left out": left_out} if left_out else {},
            started_at=began,
            finished_at=ended,
        )
        recorded = self._recorder.record(
            report, frames, variant=recording.variant, after=category, imported=True
        )
        return Done(
            frames=recorded.frames,
            image_bytes=recorded.image_bytes,
            left_out=left_out + len(frames) - recorded.frames,
            problem=problem,
        )

    def _stored_as(self, recording: _Recording) -> str | None:
        """The category under which some of this span is stored already."""
        capture, category = schema.Capture, schema.Category
        began, ended = recording.span
        with self._database.begin(read_only=True) as connection:
            return connection.execute(
                select(category.name)
                .join(capture, capture.category_id == category.id)
                .where(
                    capture.broadcast_id == recording.id,
                    capture.started_at < ended,
                    capture.finished_at > began,
                )
                .limit(1)
            ).scalar()

    def _unknown(self, frames: Mapping[str, TakenFrame]) -> list[TakenFrame]:
        """Those of the frames, by path, whose pictures the dataset does not have."""
        with self._database.begin(read_only=True) as connection:
            known = set(
                connection.execute(
                    select(schema.Frame.path).where(schema.Frame.path.in_(list(frames)))
                ).scalars()
            )
        return [frame for path, frame in frames.items() if path not in known]

    def _channel(self, footage: Footage, recording: _Recording) -> Channel:
        """The channel of footage: Twitch's, where somebody named one that is known, else a local one."""
        login = slug(footage.channel)
        if footage.entry.channel is None:
            if self._is_another(f"{LOCAL}{login}", recording.id):
                login = f"{login}_{recording.id.removeprefix(LOCAL)[:8]}"
            return Channel(id=f"{LOCAL}{login}", login=login, display_name=footage.channel)
        channel = schema.Channel
        with self._database.begin(read_only=True) as connection:
            known = connection.execute(
                select(channel.id, channel.display_name)
                .where(channel.login == login, ~channel.id.startswith(LOCAL, autoescape=True))
                .order_by(channel.id)
                .limit(1)
            ).one_or_none()
        if known is not None:
            return Channel(id=known.id, login=login, display_name=known.display_name)
        return Channel(id=f"{LOCAL}{login}", login=login, display_name=footage.channel)

    def _is_another(self, channel_id: str, broadcast_id: str) -> bool:
        """Whether a channel named after a file is that of another file already."""
        broadcast = schema.Broadcast
        with self._database.begin(read_only=True) as connection:
            ids = connection.execute(select(broadcast.id).where(broadcast.channel_id == channel_id))
            return any(one != broadcast_id for one in ids.scalars())


def _made_up(sha256: str) -> datetime:
    return EPOCH + timedelta(microseconds=int(sha256[:16], 16) % _SPREAD_US)
