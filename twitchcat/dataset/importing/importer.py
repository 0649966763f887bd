"""Carries out an import: each piece of footage becomes a capture, whole or not at all."""

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from twitchcat.config import Settings
from twitchcat.dataset.collect import image_store
from twitchcat.dataset.database import Database, open_database
from twitchcat.dataset.identity import bind
from twitchcat.dataset.images import ImageStore
from twitchcat.dataset.importing.categories import LOCAL, resolve
from twitchcat.dataset.importing.footage import Footage, Listing, Problem
from twitchcat.dataset.importing.lists import find
from twitchcat.dataset.importing.take import Done, Sampling, Taker
from twitchcat.dataset.pool import LocalPool
from twitchcat.errors import StoreError
from twitchcat.twitch.entities import Category
from twitchcat.twitch.helix import HelixClient

_TICK_S = 0.2


@dataclass(slots=True, kw_only=True)
class ImportReport:
    """What an import came to. Footage is counted by captures: a video or a span of one, a row of images."""

    imported: int = 0
    known: int = 0  #: in the dataset already
    frames: int = 0  #: added
    image_bytes: int = 0
    left_out: int = 0  #: frames that the sieve held back, and images that were known
    problems: list[Problem] = field(default_factory=list)
    local_categories: tuple[str, ...] = ()  #: names of those without an id of Twitch's
    stopped: bool = False  #: before everything was looked at

    def add(self, done: Done) -> None:
        """Count one piece of footage."""
        self.frames += done.frames
        self.image_bytes += done.image_bytes
        self.left_out += done.left_out
        self.known += done.known
        self.imported += done.frames > 0
        self.stopped |= done.given_up
        if done.problem is not None:
            self.problems.append(done.problem)


def open_and_import(
    settings: Settings,
    paths: Sequence[Path],
    *,
    manifest: Path | None,
    sampling: Sampling,
    sieve: bool = False,
    progress: Callable[[int, int], None] | None = None,
    stop: threading.Event | None = None,
) -> ImportReport:
    """Find what the paths and the manifest name, and import it into the dataset of the settings.

    Twitch is asked which categories the names mean, if there are credentials. Raises ConfigError,
    StoreError.
    """
    listing = find(paths, manifest=manifest)
    wanted = {one.entry.category: one.entry.category_id for one in listing.footage}
    with ExitStack() as stack:
        database = stack.enter_context(open_database(settings))
        twitch = None
        if settings.twitch.client_id and settings.twitch.client_secret:
            twitch = stack.enter_context(HelixClient(settings.twitch, stop=stop))
        categories = resolve(database, wanted, twitch)
        store = image_store(settings)
        bind(database, store)
        report = import_footage(
            database,
            store,
            settings,
            listing,
            categories=categories,
            sampling=sampling,
            sieve=sieve,
            progress=progress,
            stop=stop,
        )
    local = (name for name, category in categories.items() if category.id.startswith(LOCAL))
    report.local_categories = tuple(sorted(local))
    return report


def import_footage(
    database: Database,
    store: ImageStore,
    settings: Settings,
    listing: Listing,
    *,
    categories: Mapping[str, Category],
    sampling: Sampling,
    sieve: bool = False,
    progress: Callable[[int, int], None] | None = None,
    stop: threading.Event | None = None,
) -> ImportReport:
    """Import everything in the listing that is not in the dataset yet.

    What cannot be read is a problem of the report, and the rest goes on. A capture is stored whole or not at
    all; once `stop` is set, those in hand are given up. `categories` gives the category of each name.
    With `sieve`, blank and repeated pictures are left out by the settings of collecting.
    Raises StoreError, DiskFull: nothing more could be stored.
    """
    stop = stop or threading.Event()
    taker = Taker(database, store, settings, categories=categories, sampling=sampling, sieve=sieve, stop=stop)
    pool: LocalPool[Footage, Done] = LocalPool(taker.take, size=os.cpu_count() or 1)
    report = ImportReport(problems=list(listing.problems))
    waiting = list(reversed(listing.footage))
    in_hand = done = 0
    error: StoreError | None = None
    try:
        while in_hand or (waiting and error is None and not stop.is_set()):
            while waiting and in_hand < pool.size and error is None and not stop.is_set():
                pool.submit(waiting.pop())
                in_hand += 1
            one = pool.wait(_TICK_S)
            if one is None:
                continue
            in_hand -= 1
            done += 1
            report.add(one)
            error = error or one.error
            if progress is not None:
                progress(done, len(listing.footage))
    except BaseException:
        stop.set()  # the threads end soon
        raise
    finally:
        pool.close()
    if error is not None:
        raise error
    report.stopped |= bool(waiting)
    return report
