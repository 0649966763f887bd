"""`twitchcat dataset sync`: makes rows and images agree, and applies the retention setting."""

import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from sqlalchemy import and_, func, select

from twitchcat.config import RetentionSettings
from twitchcat.dataset import schema
from twitchcat.dataset.database import Database
from twitchcat.dataset.images import ImageStore
from twitchcat.dataset.importing.categories import LOCAL
from twitchcat.dataset.locks import lock_images_for_removal
from twitchcat.dataset.removal import remove_frames, remove_unnamed


@dataclass(slots=True, kw_only=True)
class SyncReport:
    """What did not agree, and what was removed for it; all counts."""

    rows_without_image: int = 0
    images_without_row: int = 0  #: files that no row names, left-overs of a crash included
    checksum_mismatches: int = 0  #: images whose bytes are not the ones stored; looked for only when deep
    expired: int = 0  #: frames older than the retention setting
    removed: int = 0  #: rows and files removed; 0 in a dry run

    def as_dict(self) -> dict[str, int]:
        """The counts by name."""
        return asdict(self)


def sync(
    database: Database,
    store: ImageStore,
    retention: RetentionSettings,
    *,
    deep: bool = False,
    dry_run: bool = False,
    progress: Callable[[int, int], None] | None = None,
    stop: threading.Event | None = None,
) -> SyncReport:
    """Compare every row with its image and every image with its row; remove what stands alone.

    Works folder by folder, beside collectors: an image that is being stored is never taken for an orphan.
    With `deep`, the bytes of each image are read and compared with their checksum; a frame whose image is
    damaged is removed. `progress` is told how many of how many folders are done. Raises StoreError; an image
    that cannot be read for another reason than being gone is no reason to remove anything.
    """
    report = SyncReport()
    _expire(database, store, retention, report, dry_run=dry_run, stop=stop)
    folders = sorted({*store.folders(), *_folders_of_rows(database)})
    for done, folder in enumerate(folders):
        if stop is not None and stop.is_set():
            break
        _sync_folder(database, store, folder, report, deep=deep, dry_run=dry_run, stop=stop)
        if progress is not None:
            progress(done + 1, len(folders))
    return report


def _expire(
    database: Database,
    store: ImageStore,
    retention: RetentionSettings,
    report: SyncReport,
    *,
    dry_run: bool,
    stop: threading.Event | None,
) -> None:
    if retention.max_age is None:
        return
    frame, capture = schema.Frame, schema.Capture
    # Imported files are the operator's own, and most of their times are made up.
    imported = select(capture.id).where(capture.broadcast_id.startswith(LOCAL, autoescape=True))
    expired = and_(
        frame.captured_at < datetime.now(UTC) - retention.max_age, frame.capture_id.not_in(imported)
    )
    with database.begin() as connection:
        report.expired = connection.execute(select(func.count()).where(expired)).scalar_one()
    if not dry_run and report.expired:
        report.removed += remove_frames(database, store, [expired], stop=stop)


def _folders_of_rows(database: Database) -> set[str]:
    with database.begin() as connection:
        return set(
            connection.execute(select(func.split_part(schema.Frame.path, "/", 1)).distinct()).scalars()
        )


def _sync_folder(
    database: Database,
    store: ImageStore,
    folder: str,
    report: SyncReport,
    *,
    deep: bool,
    dry_run: bool,
    stop: threading.Event | None,
) -> None:
    frame = schema.Frame
    with database.begin() as connection:
        # Under the lock no image is between its writing and its row: what stands alone now is an orphan.
        lock_images_for_removal(connection)
        files = set(store.files(folder))
        rows = connection.execute(
            select(frame.id, frame.path, frame.sha256).where(
                frame.path.startswith(f"{folder}/", autoescape=True)
            )
        ).all()
    orphans = files - {row.path for row in rows}
    missing = [row for row in rows if row.path not in files]
    damaged = [
        row
        for row in rows
        if deep
        and row.path in files
        and not (stop is not None and stop.is_set())
        and not store.is_intact(row.path, row.sha256)
    ]
    if stop is not None and stop.is_set():
        return  # before all of the folder was looked at
    report.images_without_row += len(orphans)
    report.rows_without_image += len(missing)
    report.checksum_mismatches += len(damaged)
    if dry_run:
        return
    if lost := [row.id for row in (*missing, *damaged)]:
        report.removed += remove_frames(database, store, [frame.id.in_(lost)])
    report.removed += remove_unnamed(database, store, orphans)
