"""What lists and folders say is to be imported."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from twitchcat.dataset.importing.footage import Footage, Listing, slug
from twitchcat.dataset.importing.lists import find
from twitchcat.errors import ConfigError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two categories, each a folder, and things that are none."""
    for name in ("Chess/a.mp4", "Chess/chess_b.mkv", "Doom/a.mp4", "Doom/notes.txt", ".cache/x.mp4"):
        make(tmp_path / name)
    return tmp_path


def make(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def videos(listing: Listing) -> list[tuple[str, str, str]]:
    return [(one.entry.category, one.channel, one.video.name if one.video else "") for one in listing.footage]


def problems(listing: Listing) -> list[tuple[str, str]]:
    return [(Path(one.file).name, one.why) for one in listing.problems]


def images(one: Footage) -> list[tuple[str, float]]:
    return [(picture.path.name, picture.at_s) for picture in one.pictures]


def test_a_folder_holds_a_folder_for_each_category_and_a_file_is_a_channel(folder: Path) -> None:
    assert videos(find([folder])) == [
        ("Chess", "chess_a", "a.mp4"),
        ("Chess", "chess_b", "chess_b.mkv"),
        ("Doom", "doom_a", "a.mp4"),
    ]


def test_a_folder_of_files_and_a_file_are_of_the_category_they_are_named_after(folder: Path) -> None:
    assert videos(find([folder / "Doom"])) == [("Doom", "doom_a", "a.mp4")]
    assert videos(find([folder / "Chess" / "a.mp4"])) == [("Chess", "chess_a", "a.mp4")]


def test_files_of_one_name_are_told_apart_by_more_of_their_folders(tmp_path: Path) -> None:
    for name in ("mon/Chess/a.mp4", "tue/Chess/a.mp4", "tue/Chess/b.mp4"):
        make(tmp_path / name)
    listing = find([tmp_path / "mon", tmp_path / "tue"])
    assert [one.channel for one in listing.footage] == ["mon_chess_a", "tue_chess_a", "chess_b"]


def test_a_folder_with_a_manifest_is_what_that_says(folder: Path) -> None:
    entries = [{"file": "Doom/a.mp4", "category": "Chess", "channel": "Ana", "licence": "CC0", "fps": 30}]
    (folder / "manifest.json").write_text(json.dumps(entries))
    assert videos(find([folder])) == [("Chess", "Ana", "a.mp4")]


def test_a_manifest_names_everything_that_is_known_of_a_file(folder: Path) -> None:
    entry = {
        "file": "Chess/a.mp4",
        "category": "Chess",
        "category_id": "743",
        "start_s": 5,
        "end_s": 20.5,
        "started_at": "2026-03-01T14:00:00+02:00",
        "language": "de",
        "sha256": "ab" * 32,
    }
    (folder / "list.json").write_text(json.dumps([entry]))
    one = find([], manifest=folder / "list.json").footage[0].entry
    assert (one.category_id, one.start_s, one.end_s, one.language) == ("743", 5.0, 20.5, "de")
    assert one.started_at == datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert one.sha256 == "ab" * 32


def test_a_start_without_an_end_is_no_span(folder: Path) -> None:
    entry = {"file": "Chess/a.mp4", "category": "Chess", "start_s": 36, "span_s": 24}
    (folder / "list.json").write_text(json.dumps([entry]))
    assert find([], manifest=folder / "list.json").footage[0].entry.start_s is None


def test_paths_beside_a_manifest_choose_among_its_files(folder: Path) -> None:
    listed = [{"file": f"{name}/a.mp4", "category": name} for name in ("Chess", "Doom", "Gone")]
    (folder / "list.json").write_text(json.dumps(listed))
    listing = find([folder / "Doom"], manifest=folder / "list.json")
    assert videos(listing) == [("Doom", "doom_a", "a.mp4")]
    assert problems(listing) == []
    whole = find([folder], manifest=folder / "list.json")
    assert problems(whole) == [("a.mp4", "there is no such file")]


def test_a_manifest_elsewhere_names_files_of_the_paths(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("lists") / "list.csv"
    elsewhere.write_text("path,label\nDoom/a.mp4,Doom\n")
    assert videos(find([folder], manifest=elsewhere)) == [("Doom", "doom_a", "a.mp4")]


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        pytest.param("path,label\nDoom/a.mp4,Doom\n", ("Doom", "doom_a", None, None), id="two columns"),
        pytest.param("Doom/a.mp4,Doom\n", ("Doom", "doom_a", None, None), id="no header"),
        pytest.param("frame,label,channel\nDoom/a.mp4,Doom,Ana\n", ("Doom", "Ana", None, None), id="channel"),
        pytest.param(
            "path,start_s,end_s,label\nDoom/a.mp4,1.5,9,Doom\n", ("Doom", "doom_a", 1.5, 9.0), id="a span"
        ),
        pytest.param("Doom/a.mp4,1.5,9,Doom,Ana\n", ("Doom", "Ana", 1.5, 9.0), id="everything, no header"),
        pytest.param("label,path\r\nDoom,Doom/a.mp4\r\n\r\n", ("Doom", "doom_a", None, None), id="any order"),
        pytest.param(
            "path,start_s,end_s,label\nDoom/a.mp4,,,Doom\n", ("Doom", "doom_a", None, None), id="no span"
        ),
        pytest.param(
            'path,label\nDoom/a.mp4,"Doom, again"\n', ("Doom, again", "doom_a", None, None), id="quoted"
        ),
        pytest.param(
            "\ufeffpath,label\nDoom/a.mp4,Doom\n", ("Doom", "doom_a", None, None), id="from a spreadsheet"
        ),
    ],
)
def test_a_table_has_these_columns(
    folder: Path, table: str, expected: tuple[str, str, float | None, float | None]
) -> None:
    path = folder / "list.csv"
    path.write_text(table, encoding="utf-8", newline="")
    listing = find([path])
    assert listing.problems == ()
    (one,) = listing.footage
    assert (one.entry.category, one.channel, one.entry.start_s, one.entry.end_s) == expected


def test_spans_of_a_file_are_of_one_channel(folder: Path) -> None:
    path = folder / "list.csv"
    path.write_text("Chess/a.mp4,0,5,Chess\nChess/a.mp4,5,9,Doom\n")
    assert videos(find([path])) == [("Chess", "chess_a", "a.mp4"), ("Doom", "chess_a", "a.mp4")]


@pytest.mark.parametrize(
    ("row", "why"),
    [
        pytest.param("Chess/gone.mp4,0,5,Chess", "there is no such file", id="no file"),
        pytest.param("Chess/gone.mp4,5,2,Chess", "ends before it starts", id="a span backwards"),
        pytest.param("Chess/gone.mp4,x,2,Chess", "start_s: input should be a valid number", id="no number"),
        pytest.param("Chess/gone.mp4,0,5,", "category: field required", id="no label"),
        pytest.param("Chess/gone.mp4,0,5,Chess,Ana,more", "row 2 has 6 values, expected 4", id="too much"),
    ],
)
def test_a_wrong_row_is_named_and_the_others_stay(folder: Path, row: str, why: str) -> None:
    path = folder / "list.csv"
    path.write_text(f"Chess/a.mp4,0,5,Chess\n{row}\nDoom/a.mp4,0,5,Doom\n")
    listing = find([path])
    assert [one.entry.category for one in listing.footage] == ["Chess", "Doom"]
    ((name, told),) = problems(listing)
    assert name == "gone.mp4"
    assert why in told


def test_images_that_differ_in_a_number_are_frames_of_one_recording(tmp_path: Path) -> None:
    for name in (
        "Chess/run_10.jpg",
        "Chess/run_2.png",
        "Chess/other_1.jpg",
        "Doom/0001.jpg",
        "Doom/0002.jpg",
    ):
        make(tmp_path / name)
    found = {one.channel: images(one) for one in find([tmp_path]).footage}
    assert found == {
        "chess_run": [("run_2.png", 2.0), ("run_10.jpg", 10.0)],
        "chess_other": [("other_1.jpg", 1.0)],
        "doom": [("0001.jpg", 1.0), ("0002.jpg", 2.0)],
    }


def test_images_without_an_order_have_times_that_stay_the_same(tmp_path: Path) -> None:
    for name in ("x.jpg", "y.jpg", "z.jpg"):
        make(tmp_path / name)
    table = tmp_path / "list.csv"
    table.write_text("x.jpg,Chess,Ana\ny.jpg,Chess,Ana\n")
    before = dict(images(find([table]).footage[0]))
    table.write_text("x.jpg,Chess,Ana\ny.jpg,Chess,Ana\nz.jpg,Chess,Ana\n")
    after = dict(images(find([table]).footage[0]))
    assert len(set(after.values())) == 3
    assert before.items() <= after.items()


def test_scalabel_frames_are_tagged_pictures_of_their_video(tmp_path: Path) -> None:
    for name in ("1.jpg", "2.jpg", "3.jpg", "4.jpg"):
        make(tmp_path / name)
    frames = [
        {"name": "1.jpg", "videoName": "v", "timestamp": 500, "attributes": {"category": "Chess", "x": "y"}},
        {"name": "2.jpg", "videoName": "v", "timestamp": 1500, "attributes": {"game": "Chess"}},
        {"name": "3.jpg", "videoName": "v", "frameIndex": 7, "labels": [{"category": "Chess"}]},
        {"name": "4.jpg", "labels": [{"category": "Chess"}, {"category": "Doom"}]},
    ]
    for content in (frames, {"frames": frames, "config": {}}):
        (tmp_path / "labels.json").write_text(json.dumps(content))
        listing = find([tmp_path / "labels.json"])
        (one,) = listing.footage
        assert (one.channel, one.entry.category) == ("v", "Chess")
        assert images(one) == [("1.jpg", 0.5), ("2.jpg", 1.5), ("3.jpg", 7.0)]
        assert problems(listing) == [("4.jpg", "has no category, or several")]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        pytest.param("a.json", "{", id="no JSON"),
        pytest.param("a.json", '{"a": 1}', id="an object of something"),
        pytest.param("a.json", "[1, 2]", id="a list of something"),
        pytest.param("a.json", '[{"a": 1}]', id="entries of something"),
        pytest.param("a.csv", 'a,"b\n', id="an open quote"),
    ],
)
def test_a_list_that_is_none_is_refused_by_name(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError, match=name.replace(".", r"\.")):
        find([tmp_path / name])


def test_paths_without_anything_to_import_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is nothing to import"):
        find([tmp_path])


def test_a_path_that_is_not_there_is_named(folder: Path) -> None:
    listing = find([folder / "Doom", folder / "gone.mp4"])
    assert len(listing.footage) == 1
    assert problems(listing) == [("gone.mp4", "there is no such file")]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Counter-Strike 2", "counter_strike_2"),
        ("VALORANT", "valorant"),
        ("原神", "原神"),
        ("!!!", "unnamed"),
    ],
)
def test_ids_made_from_names(name: str, expected: str) -> None:
    assert slug(name) == expected
