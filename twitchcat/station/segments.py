"""Segments as they are asked for: made once, in a few threads, and kept while there is room."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from twitchcat.station.addresses import Rendition, SegmentAddress
from twitchcat.station.cards import ad_card, silence
from twitchcat.station.media import Segment, Video, index, remux, split_init, transcode
from twitchcat.station.playlists import LOW_BANDWIDTH
from twitchcat.station.timeline import Part, Slot

_THREADS = 2


class Segments:
    """Makes segments and remembers them, the least recently asked for dropped first.

    To be used on one event loop. `room` is in bytes.
    """

    def __init__(self, *, room: int) -> None:
        self._room = room
        self.held = 0  #: bytes remembered now
        self._kept: OrderedDict[Hashable, Segment] = OrderedDict()
        self._being_made: dict[Hashable, asyncio.Future[Segment]] = {}
        self._videos: dict[Path, asyncio.Future[Video]] = {}
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="station")

    def close(self) -> None:
        """Give the threads back."""
        self._threads.shutdown(cancel_futures=True)

    async def video(self, path: Path) -> Video:
        """Where a file can be cut; read at the first call. Raises ConfigError."""
        if path not in self._videos:
            self._videos[path] = asyncio.get_running_loop().run_in_executor(self._threads, index, path)
        return await asyncio.shield(self._videos[path])

    async def segment(self, video: Video, address: SegmentAddress, slot: Slot) -> Segment:
        """The segment of an address, `slot` being its place in the video's loop."""
        source = await self._source(video, address, slot)

        def pack() -> Segment:
            whole = remux(*source, at_s=slot.start_s, container=address.container)
            if address.container != "mp4":
                return whole
            init, fragments = split_init(whole.data)
            head = fragments.find(b"mdat") + 4
            return (
                Segment(data=init, head=0, keyframe=0)
                if address.init
                else Segment(data=fragments, head=head, keyframe=whole.keyframe)
            )

        return await self._made(address, pack)

    async def _source(
        self, video: Video, address: SegmentAddress, slot: Slot
    ) -> tuple[Path | bytes, tuple[int, int] | None]:
        """What a segment is packed from: a stretch of the file, or something made for it."""
        low = address.rendition is Rendition.LOW
        size = video.low_size if low else (video.width // 2 * 2, video.height // 2 * 2)
        key: Hashable
        make: Callable[[], bytes]
        if address.rendition is Rendition.AUDIO:
            key = ("silence", slot.span_s)
            make = partial(silence, span_s=slot.span_s)
        elif address.part is not Part.LIVE:
            key = ("card", size, video.fps, slot.span_s)
            make = partial(ad_card, size=size, fps=video.fps, span_s=slot.span_s)
        elif low or not video.copied:
            rate = LOW_BANDWIDTH if low else max(video.bandwidth, 1_000_000)
            key = ("encoded", video.path, slot.index, size)
            make = partial(transcode, video, slot.index, size=size, bit_rate=rate)
        else:
            return video.path, video.bounds(slot.index)
        return (await self._made(key, lambda: Segment(data=make(), head=0, keyframe=0))).data, None

    async def _made(self, key: Hashable, make: Callable[[], Segment]) -> Segment:
        kept = self._kept.get(key)
        if kept is not None:
            self._kept.move_to_end(key)
            return kept
        if key not in self._being_made:
            made = asyncio.get_running_loop().run_in_executor(self._threads, make)
            self._being_made[key] = made
            made.add_done_callback(lambda done: self._keep(key, done))
        # One client that goes away must not take the segment from the others.
        return await asyncio.shield(self._being_made[key])

    def _keep(self, key: Hashable, made: asyncio.Future[Segment]) -> None:
        del self._being_made[key]
        if made.cancelled() or made.exception() is not None:
            return
        self._kept[key] = made.result()
        self.held += len(made.result().data)
        while self.held > self._room and len(self._kept) > 1:
            _, oldest = self._kept.popitem(last=False)
            self.held -= len(oldest.data)
