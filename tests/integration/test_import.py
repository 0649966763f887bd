"""Importing files into a real database and image store."""

import json
import threading
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import cv2
import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from tests.unit.videos import FPS, encode, pictures
from twitchcat.cli.app import app
from twitchcat.config import RetentionSettings, Settings
from twitchcat.dataset.collect import image_store
from twitchcat.dataset.database import Database
from twitchcat.dataset.importing.categories import resolve
from twitchcat.dataset.importing.importer import ImportReport, open_and_import
from twitchcat.dataset.importing.take import Sampling
from twitchcat.dataset.recorder import save_categories
from twitchcat.dataset.sync import sync
from twitchcat.errors import ConfigError, DiskFull, NetworkError
from twitchcat.twitch.entities import Category

SECONDS = 6


def video(path: Path, *, seed: int = 0, seconds: int = SECONDS) -> Path:
    """A video of moving blocks."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode(pictures(seconds * FPS, seed=seed), "mp4", options={"g": str(FPS)}))
    return path


def image(path: Path, *, seed: int = 0) -> Path:
    """A picture of blocks."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _, data = cv2.imencode(path.suffix, pictures(1, seed=seed)[0])
    path.write_bytes(data.tobytes())
    return path


def rows(database: Database, query: str) -> list[Any]:
    with database.begin(read_only=True) as connection:
        return [tuple(row) if len(row) > 1 else row[0] for row in connection.execute(text(query))]


@pytest.fixture
def footage(tmp_path: Path) -> Path:
    """An empty folder beside the data directory."""
    folder = tmp_path.parent / f"{tmp_path.name}-footage"
    folder.mkdir()
    return folder


@pytest.fixture
def run(settings: Settings) -> Callable[..., ImportReport]:
    """Import paths: `run(folder, every_s=2.0)`, `run(manifest=file)`."""

    def _run(
        *paths: Path,
        manifest: Path | None = None,
        sieve: bool = False,
        progress: Callable[[int, int], None] | None = None,
        stop: threading.Event | None = None,
        **sampling: Any,
    ) -> ImportReport:
        return open_and_import(
            settings,
            paths,
            manifest=manifest,
            sampling=Sampling(**sampling),
            sieve=sieve,
            progress=progress,
            stop=stop,
        )

    return _run


Run = Callable[..., ImportReport]


def test_a_video_becomes_a_channel_a_broadcast_and_a_capture(
    run: Run, database: Database, settings: Settings, footage: Path
) -> None:
    video(footage / "Chess" / "ana.mp4")
    report = run(footage / "Chess", every_s=2.0)
    assert (report.imported, report.known, report.frames, report.problems) == (1, 0, 3, [])
    assert report.local_categories == ("Chess",)
    assert rows(database, "SELECT id, login, display_name FROM channels") == [
        ("local:chess_ana", "chess_ana", "chess_ana")
    ]
    assert rows(database, "SELECT id, name FROM categories") == [("local:chess", "Chess")]
    ((broadcast, title),) = rows(database, "SELECT id, title FROM broadcasts")
    assert (broadcast[:6], len(broadcast), title) == ("local:", 6 + 64, "ana.mp4")
    ((outcome, variant, kept, lasted),) = rows(
        database, "SELECT outcome, variant, frames_kept, finished_at - started_at FROM captures"
    )
    assert (outcome, variant, kept) == ("kept", "90p", 3)
    assert lasted == timedelta(seconds=SECONDS)
    assert rows(database, "SELECT label, source, ended_at - started_at FROM labels") == [
        ("Chess", "imported", timedelta(seconds=SECONDS))
    ]
    ((first, *paths),) = [rows(database, "SELECT path FROM frames ORDER BY position")]
    assert all((image_store(settings).root / path).is_file() for path in (first, *paths))
    gaps = rows(
        database,
        "SELECT captured_at - lag(captured_at) OVER (ORDER BY position) FROM frames ORDER BY position",
    )
    assert gaps == [None, timedelta(seconds=2), timedelta(seconds=2)]


def test_the_same_file_twice_adds_nothing_whatever_it_is_called(
    run: Run, database: Database, footage: Path
) -> None:
    first = video(footage / "Chess" / "ana.mp4")
    assert run(first).frames == 3
    other = footage / "Chess" / "other name.mp4"
    other.write_bytes(first.read_bytes())
    for again in (run(first), run(first, frames=5), run(footage / "Chess")):
        assert (again.imported, again.frames, again.problems) == (0, 0, [])
        assert again.known > 0
    assert rows(database, "SELECT count(*) FROM channels") == [1]
    assert rows(database, "SELECT count(*) FROM captures") == [1]


def test_two_names_of_one_file_in_one_import_are_one_channel(
    run: Run, database: Database, footage: Path
) -> None:
    first = video(footage / "Chess" / "a.mp4")
    (footage / "Chess" / "b.mp4").write_bytes(first.read_bytes())
    report = run(footage / "Chess")
    assert (report.imported, report.known) == (1, 1)
    assert rows(database, "SELECT count(DISTINCT channel_id) FROM frames") == [1]


def test_frames_are_spread_over_the_whole_length(run: Run, database: Database, footage: Path) -> None:
    run(video(footage / "Chess" / "a.mp4", seconds=12), frames=4)
    seconds = rows(
        database,
        "SELECT extract(epoch FROM f.captured_at - c.started_at)::float FROM frames f"
        " JOIN captures c ON c.id = f.capture_id ORDER BY position",
    )
    assert seconds == pytest.approx([1.5, 4.5, 7.5, 10.5], abs=0.8)  # a keyframe is at most so far away


def test_the_time_of_a_file_is_its_own_or_the_manifests(run: Run, database: Database, footage: Path) -> None:
    video(footage / "a.mp4")
    video(footage / "b.mp4", seed=1)
    listed = [
        {"file": "a.mp4", "category": "Chess"},
        {"file": "b.mp4", "category": "Chess", "started_at": "2026-03-01T12:00:00Z"},
    ]
    (footage / "list.json").write_text(json.dumps(listed))
    run(manifest=footage / "list.json")
    times = dict(rows(database, "SELECT title, started_at FROM broadcasts"))
    assert times["b.mp4"] == datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert datetime(2000, 1, 1, tzinfo=UTC) <= times["a.mp4"] < datetime(2010, 1, 1, tzinfo=UTC)


def test_spans_of_a_file_are_captures_of_one_channel(run: Run, database: Database, footage: Path) -> None:
    video(footage / "a.mp4")
    table = footage / "list.csv"
    table.write_text("path,start_s,end_s,label\na.mp4,0,2,Chess\na.mp4,2,6,Doom\n")
    assert run(table, every_s=1.0).frames == 6
    found = "SELECT category, count(*) FROM frame_index GROUP BY category ORDER BY category"
    assert rows(database, found) == [("Chess", 2), ("Doom", 4)]
    assert rows(database, "SELECT count(*), count(DISTINCT channel_id) FROM captures") == [(2, 1)]
    again = run(table, every_s=1.0)
    assert (again.known, again.frames) == (2, 0)


def test_a_file_known_under_another_category_is_a_problem(run: Run, footage: Path) -> None:
    run(video(footage / "Chess" / "a.mp4"))
    (footage / "list.csv").write_text("path,label\nChess/a.mp4,Doom\n")
    (problem,) = run(footage / "list.csv").problems
    assert problem.why == "is in the dataset as Chess, not Doom: remove that first"


def test_bad_files_are_named_and_the_rest_goes_on(run: Run, database: Database, footage: Path) -> None:
    folder = footage / "Chess"
    video(folder / "good.mp4")
    (folder / "empty.mp4").touch()
    (folder / "garbage.mkv").write_bytes(b"garbage " * 500)
    image(folder / "picture_1.png")
    (folder / "broken.png").write_bytes(b"no picture")
    report = run(folder)
    assert report.imported == 2
    assert report.frames == 4
    assert sorted(Path(problem.file).name for problem in report.problems) == [
        "broken.png",
        "empty.mp4",
        "garbage.mkv",
    ]


def test_a_file_that_is_not_the_manifests_is_refused(run: Run, footage: Path) -> None:
    video(footage / "a.mp4")
    (footage / "list.json").write_text(
        json.dumps([{"file": "a.mp4", "category": "Chess", "sha256": "0" * 64}])
    )
    (problem,) = run(manifest=footage / "list.json").problems
    assert problem.why == "is not the file of the list: its SHA-256 differs"


def test_images_of_a_recording_are_one_capture_in_order(run: Run, database: Database, footage: Path) -> None:
    for i in (1, 2, 11):
        image(footage / "Chess" / f"run_{i}.png", seed=i)
    assert run(footage).frames == 3
    times = rows(
        database,
        "SELECT extract(epoch FROM captured_at - first_value(captured_at) OVER (ORDER BY position))::float"
        " FROM frames ORDER BY position",
    )
    assert times == [0.0, 1.0, 10.0]
    assert rows(database, "SELECT count(*), count(DISTINCT channel_id) FROM captures") == [(1, 1)]


def test_images_that_come_later_join_their_recording(run: Run, database: Database, footage: Path) -> None:
    image(footage / "Chess" / "run_1.png", seed=1)
    run(footage)
    image(footage / "Chess" / "run_2.png", seed=2)
    report = run(footage)
    assert (report.imported, report.frames, report.left_out) == (1, 1, 1)
    assert rows(database, "SELECT login FROM channels") == ["chess_run"]
    assert run(footage).known == 1


def test_the_sieve_is_off_unless_it_is_asked_for(run: Run, footage: Path) -> None:
    still = pictures(1)[0]
    path = footage / "Chess" / "a.mp4"
    path.parent.mkdir()
    path.write_bytes(encode([still] * (4 * FPS), "mp4"))
    sifted = run(path, every_s=1.0, sieve=True)
    assert (sifted.frames, sifted.left_out) == (1, 3)
    other = footage / "Doom" / "b.mp4"
    other.parent.mkdir()
    other.write_bytes(encode([still] * (5 * FPS), "mp4"))
    assert run(other, every_s=1.0).frames == 5


def test_a_channel_of_twitch_that_is_named_gets_the_frames(
    run: Run, database: Database, footage: Path
) -> None:
    with database.begin() as connection:
        connection.execute(text("INSERT INTO channels (id, login, display_name) VALUES ('77', 'ana', 'Ana')"))
    video(footage / "a.mp4")
    (footage / "list.csv").write_text("path,label,channel\na.mp4,Chess,Ana\n")
    run(footage / "list.csv")
    assert rows(database, "SELECT DISTINCT channel_id FROM frames") == ["77"]


def test_a_file_named_like_another_is_another_channel(run: Run, database: Database, footage: Path) -> None:
    run(video(footage / "mon" / "Chess" / "a.mp4"))
    run(video(footage / "tue" / "Chess" / "a.mp4", seed=1))
    first, second = rows(database, "SELECT login FROM channels ORDER BY login")
    assert first == "chess_a"
    assert second.startswith("chess_a_")


def test_stopping_keeps_what_is_whole_and_the_next_import_goes_on(
    run: Run, database: Database, footage: Path
) -> None:
    for i in range(8):
        video(footage / "Chess" / f"{i}.mp4", seed=i)
    stop = threading.Event()
    report = run(footage, progress=lambda _done, _total: stop.set(), stop=stop)
    assert report.stopped
    assert 1 <= report.imported < 8
    kept = rows(database, "SELECT frames_kept FROM captures")
    assert kept == [3] * report.imported
    rest = run(footage)
    assert not rest.stopped
    assert (rest.known, rest.imported) == (report.imported, 8 - report.imported)


def test_a_full_disk_ends_the_import(
    run: Run, database: Database, footage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_space(*_: object) -> None:
        raise OSError(28, "No space left on device")

    video(footage / "Chess" / "a.mp4")
    monkeypatch.setattr("os.fsync", no_space)
    with pytest.raises(DiskFull):
        run(footage / "Chess")
    monkeypatch.undo()
    assert rows(database, "SELECT count(*) FROM captures") == [0]
    assert run(footage / "Chess").frames == 3


@pytest.mark.parametrize(
    "sampling", [{"every_s": 0.0}, {"every_s": float("nan")}, {"frames": 0}, {"frames": 5001}]
)
def test_senseless_sampling_is_refused(sampling: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"--every|--frames"):
        Sampling(**sampling)


def test_more_frames_than_a_capture_holds_are_refused(run: Run, footage: Path) -> None:
    (problem,) = run(video(footage / "Chess" / "a.mp4"), every_s=0.001).problems
    assert "gives more than 5000 frames" in problem.why


class Twitch:
    """Knows two categories."""

    known = (Category(id="743", name="Chess", is_game=True), Category(id="509658", name="Just Chatting"))

    def categories_named(self, names: Iterable[str]) -> dict[str, Category]:
        by_name = {one.name.casefold(): one for one in self.known}
        asked = list(names)
        if unknown := [name for name in asked if name.casefold() not in by_name]:
            raise ConfigError(f"Twitch knows no category {unknown[0]!r}")
        return {name: by_name[name.casefold()] for name in asked}


class NoTwitch:
    """Cannot be reached."""

    def categories_named(self, names: Iterable[str]) -> dict[str, Category]:
        raise NetworkError(f"Twitch does not answer about {len(list(names))} names")


def ids(found: dict[str, Category]) -> dict[str, str]:
    return {name: category.id for name, category in found.items()}


def test_categories_are_those_of_twitch_where_it_knows_them(database: Database) -> None:
    wanted: dict[str, str | None] = {"chess": None, "Tux Racer": None, "Doom": "584"}
    assert ids(resolve(database, wanted, Twitch())) == {
        "chess": "743",
        "Tux Racer": "local:tux_racer",
        "Doom": "584",
    }


@pytest.mark.parametrize("twitch", [None, NoTwitch()], ids=["no credentials", "no answer"])
def test_without_twitch_the_dataset_is_asked(database: Database, twitch: NoTwitch | None) -> None:
    with database.begin() as connection:
        save_categories(connection, Twitch.known)
    wanted: dict[str, str | None] = {"CHESS": None, "Doom": None}
    assert ids(resolve(database, wanted, twitch)) == {"CHESS": "743", "Doom": "local:doom"}


def test_what_was_imported_by_name_moves_to_twitchs_category_once_that_is_known(
    run: Run, database: Database, footage: Path
) -> None:
    run(video(footage / "Chess" / "a.mp4"))
    assert ids(resolve(database, {"Chess": None}, Twitch())) == {"Chess": "743"}
    assert rows(database, "SELECT id, name FROM categories") == [("743", "Chess")]
    tables: Sequence[str] = ("frames", "captures", "labels")
    for table in tables:
        assert rows(database, f"SELECT DISTINCT category_id FROM {table}") == ["743"]  # noqa: S608 - ours


def test_imported_frames_do_not_expire(
    run: Run, database: Database, settings: Settings, footage: Path
) -> None:
    run(video(footage / "Chess" / "a.mp4"))
    retention = RetentionSettings(max_age=timedelta(days=1))
    assert sync(database, image_store(settings), retention).expired == 0
    assert rows(database, "SELECT count(*) FROM frames") == [3]


def test_the_command_prints_counts_and_names_what_it_skipped(settings: Settings, footage: Path) -> None:
    assert settings.database.url is not None
    environment = {
        "TWITCHCAT_DATA_DIR": str(settings.data_dir),
        "TWITCHCAT_DATABASE__URL": settings.database.url.get_secret_value(),
    }
    video(footage / "Chess" / "a.mp4")
    (footage / "Chess" / "b.mp4").write_bytes(b"broken")
    result = CliRunner().invoke(app, ["dataset", "import", str(footage), "--json"], env=environment)
    assert result.exit_code == 4
    printed = json.loads(result.stdout)
    assert (printed["imported"], printed["frames"]) == (1, 3)
    assert [Path(one["file"]).name for one in printed["problems"]] == ["b.mp4"]
    assert "b.mp4: cannot be read as a video" in result.stderr
    (footage / "Chess" / "b.mp4").unlink()
    again = CliRunner().invoke(app, ["dataset", "import", str(footage)], env=environment)
    assert again.exit_code == 0
    assert "1 were in the dataset already" in again.stdout
