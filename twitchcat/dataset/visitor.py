"""Carries out visits: from the order to the report, with everything it kept in the dataset."""

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from time import monotonic
from weakref import WeakKeyDictionary

from twitchcat.config import Settings
from twitchcat.dataset.locks import ChannelClaims
from twitchcat.dataset.recorder import STORED_ALREADY, ChannelMemory, Recorder
from twitchcat.dataset.sift import Sieve
from twitchcat.dataset.visit import (
    ENDED,
    Outcome,
    Take,
    TakenFrame,
    VisitOrder,
    VisitReport,
    declared_change,
)
from twitchcat.errors import (
    AdsOnly,
    ChannelOffline,
    CredentialsRefused,
    Interrupted,
    NetworkError,
    RateLimited,
    SegmentUnreadable,
    StoreError,
    StreamUnreadable,
    TwitchcatError,
    TwitchError,
)
from twitchcat.frames.picture import encode_jpeg, scale_to_height
from twitchcat.frames.spread import spread
from twitchcat.frames.stream import StreamKeyframes
from twitchcat.twitch.entities import LiveStream
from twitchcat.twitch.live import LiveSource, LiveStreams
from twitchcat.twitch.playlist import PlaylistWindow, Segment

log = logging.getLogger(__name__)

#: Why nothing is taken of a channel that declares nothing.
NO_CATEGORY = "no category"

LiveNow = Callable[[list[str]], dict[str, LiveStream]]


class Visitor:
    """Carries out visits, several at a time. Thread-safe."""

    def __init__(
        self,
        settings: Settings,
        *,
        live_now: LiveNow,
        streams: LiveStreams,
        recorder: Recorder,
        claims: ChannelClaims,
        stop: threading.Event,
    ) -> None:
        self._settings = settings
        self._live_now = live_now
        self._streams = streams
        self._recorder = recorder
        self._claims = claims
        self._stop = stop
        self._mutex = threading.Lock()
        # What is learnt of a stream is forgotten with it.
        self._keyframes: WeakKeyDictionary[LiveSource, StreamKeyframes] = WeakKeyDictionary()

    def visit(self, order: VisitOrder) -> VisitReport:
        """Visit a channel and record the visit. The report tells everything that went wrong."""
        report = VisitReport(order=order, outcome=Outcome.BUSY, started_at=_now(), finished_at=_now())
        try:
            if not self._claims.claim(order.channel.id):
                return replace(report, reason="another process is there")
            try:
                memory = self._memory(report)
                if _was_just_visited(order, memory):
                    return replace(report, reason="visited a moment ago")
                return self._visit(report, memory)
            finally:
                self._claims.release(order.channel.id)
        except Interrupted as error:  # that says nothing of the channel
            return replace(report, reason=error.reason)
        except (StoreError, CredentialsRefused) as error:
            return replace(report, outcome=Outcome.LOST, reason=error.reason, error=error, finished_at=_now())
        except Exception as odd:
            # An interrupt closes everything under a visit that nobody waits for: no news.
            if not self._stop.is_set():
                log.exception("visit_failed", extra={"channel": order.channel.login})
            failure = TwitchcatError(f"a visit to {order.channel.login} failed: {odd!r}")
            return replace(
                report, outcome=Outcome.LOST, reason=failure.reason, error=failure, finished_at=_now()
            )

    def _memory(self, report: VisitReport) -> ChannelMemory:
        return self._recorder.memory(
            report.order.channel.id,
            category_id=report.category.id if report.category else None,
            hashes=self._settings.collect.remember,
            now=report.started_at,
        )

    def _visit(self, report: VisitReport, memory: ChannelMemory) -> VisitReport:
        order, before = report.order, report.order.stream
        take, after = Take(), None
        outcome, reason = Outcome.KEPT, None
        try:
            if before is None:
                outcome = Outcome.OFFLINE
            elif before.category is None:  # pictures of nothing in particular belong nowhere
                outcome, reason = Outcome.ERROR, NO_CATEGORY
            else:
                self._take(order, memory, take)
                after = self._live_now([order.channel.login]).get(order.channel.login)
                if change := declared_change(before, after):
                    outcome, reason = change
        except AdsOnly:
            outcome = Outcome.AD
        except ChannelOffline as error:
            outcome, reason = Outcome.OFFLINE, error.reason
        except (StoreError, CredentialsRefused, Interrupted):
            raise
        except StreamUnreadable as error:
            outcome, reason = self._ended_or(error, order)
        except TwitchcatError as error:
            outcome, reason = Outcome.ERROR, error.reason
        if outcome is not Outcome.KEPT:
            take.skip(outcome.value, len(take.frames))
            take.frames.clear()
        report = replace(
            report,
            outcome=outcome,
            reason=reason,
            bytes_fetched=take.bytes_fetched,
            skipped=take.skipped,
            finished_at=_now(),
        )
        recorded = self._recorder.record(
            report, take.frames, variant=take.variant, after=after.category if after else None
        )
        take.skip(STORED_ALREADY, len(take.frames) - recorded.frames)
        return replace(report, frames_kept=recorded.frames, image_bytes=recorded.image_bytes)

    def _ended_or(self, error: StreamUnreadable, order: VisitOrder) -> tuple[Outcome, str]:
        """Tell a stream that has ended, whose addresses are dead, from one that cannot be read."""
        try:
            if not self._live_now([order.channel.login]):
                self._streams.close(order.channel.login)
                return Outcome.OFFLINE, ENDED
        except CredentialsRefused:
            raise
        except TwitchError:
            pass  # what was found out first stands
        return Outcome.ERROR, error.reason

    def _take(self, order: VisitOrder, memory: ChannelMemory, take: Take) -> None:
        """Take frames from the channel's playlist window into `take`."""
        deadline = monotonic() + self._settings.capture.timeout.total_seconds()
        source = self._streams.open(order.channel.login)
        try:
            window = source.window()
            take.variant = source.variant.name  # looking may have resolved it anew
            take.skip("ad", window.ads)
            take.skip("beside an ad", window.dropped)
            take.skip("unusable", window.unusable)
            segments = _wanted(window, memory, order, take)
            window.require_content()
            if not window.segments:
                raise StreamUnreadable("the playlist names no segment that can be used")
            self._take_segments(
                source, segments, wanted=order.frames, memory=memory, take=take, deadline=deadline
            )
        except ChannelOffline:
            self._streams.close(order.channel.login)
            raise
        finally:
            take.bytes_fetched = source.take_bytes()

    def _take_segments(
        self,
        source: LiveSource,
        segments: tuple[Segment, ...],
        *,
        wanted: int,
        memory: ChannelMemory,
        take: Take,
        deadline: float,
    ) -> None:
        collect, images = self._settings.collect, self._settings.images
        sieve = Sieve(memory.hashes, blank=collect.blank, near_identical=collect.near_identical)
        keyframes = self._keyframes_of(source)
        failure: SegmentUnreadable | NetworkError | RateLimited | None = None
        seen = 0

        def check_time() -> None:
            if monotonic() > deadline:
                raise NetworkError("the visit ran out of time")

        for index in spread(wanted, len(segments)):
            if self._stop.is_set():
                break
            if monotonic() > deadline:
                take.skip("out of time")
                failure = failure or NetworkError("the visit ran out of time")
                break
            segment = segments[index]
            try:
                keyframe = keyframes.fetch(
                    segment.uri,
                    span=segment.byte_range,
                    init_uri=segment.init_uri,
                    init_span=segment.init_range,
                    before_read=check_time,
                )
            except (SegmentUnreadable, NetworkError) as error:
                take.skip(error.reason)
                failure = error
                continue
            except RateLimited as error:  # what was taken is good; no more is asked for
                take.skip(error.reason)
                failure = error
                break
            seen += 1
            rgb = scale_to_height(keyframe.rgb, images.height)
            sifted = sieve.sift(rgb)
            if sifted.fault:
                take.skip(sifted.fault)
                continue
            take.frames.append(
                TakenFrame(
                    captured_at=segment.at,
                    jpeg=encode_jpeg(rgb, quality=images.quality),
                    width=rgb.shape[1],
                    height=rgb.shape[0],
                    phash=sifted.phash,
                )
            )
        if failure is not None and not seen:
            raise failure

    def _keyframes_of(self, source: LiveSource) -> StreamKeyframes:
        # One channel is visited by one thread at a time, so its keyframes are too.
        with self._mutex:
            keyframes = self._keyframes.get(source)
            if keyframes is None:
                first = int(self._settings.capture.first_range)
                keyframes = self._keyframes[source] = StreamKeyframes(source.read, first_range=first)
            return keyframes


def _was_just_visited(order: VisitOrder, memory: ChannelMemory) -> bool:
    if memory.last_visit_at is None or order.unless_visited_within is None:
        return False
    return _now() - memory.last_visit_at < order.unless_visited_within


def _wanted(
    window: PlaylistWindow, memory: ChannelMemory, order: VisitOrder, take: Take
) -> tuple[Segment, ...]:
    """The segments that no earlier visit saw, and that the declared category is true of."""
    segments = window.segments
    if memory.last_frame_at is not None:
        segments = tuple(one for one in segments if one.at > memory.last_frame_at)
        take.skip("seen before", len(window.segments) - len(segments))
    # The window reaches back by half a minute: to before a change of category, or to an earlier broadcast.
    began = order.stream.started_at if order.stream else None
    floor = max((at for at in (memory.category_since, began) if at is not None), default=None)
    if floor is None:
        return segments
    true_of = tuple(one for one in segments if one.at >= floor)
    take.skip("before the category", len(segments) - len(true_of))
    return true_of


def _now() -> datetime:
    return datetime.now(UTC)
