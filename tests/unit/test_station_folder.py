"""The folder that a station plays, and its station.toml."""

import json
from pathlib import Path

import pytest

from twitchcat.errors import ConfigError
from twitchcat.station.folder import PACKAGED_CLIPS, number_for, read_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("Chess/board.mp4", "Chess/Fast Games.mkv", "Doom/imp.ts", "Doom/notes.txt", "stray.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def test_a_folder_is_a_category_and_a_file_a_channel(folder: Path) -> None:
    channels = read_folder(folder).channels
    assert {(plan.login, plan.shows, plan.declares) for plan in channels} == {
        ("board", "Chess", "Chess"),
        ("fast_games", "Chess", "Chess"),
        ("imp", "Doom", "Doom"),
    }


def test_categories_take_turns_so_that_few_channels_still_show_many(folder: Path) -> None:
    assert [plan.shows for plan in read_folder(folder, channels=2).channels] == ["Chess", "Doom"]


def test_more_channels_than_files_play_files_again_under_further_logins(folder: Path) -> None:
    channels = read_folder(folder, channels=7).channels
    assert [plan.login for plan in channels] == [
        *("fast_games", "imp", "board"),
        *("fast_games_2", "imp_2", "board_2"),
        "fast_games_3",
    ]
    assert len({plan.user_id for plan in channels}) == 7


def test_station_toml_says_what_differs(folder: Path) -> None:
    (folder / "station.toml").write_text(
        """
        non_games = ["Chess"]
        [channels.imp]
        category = "Just Chatting"
        language = "de"
        title = "Feierabend"
        viewers = 12
        live = false
        faults = ["slow:2", "no_ranges"]
        timetable = [{ after = "60s", category = "Chess" }]
        ads = [{ after = "-20s", for = "15s" }]
        """,
        encoding="utf-8",
    )
    read = read_folder(folder)
    [imp] = [plan for plan in read.channels if plan.login == "imp"]
    assert (imp.shows, imp.declares, imp.language, imp.title) == ("Doom", "Just Chatting", "de", "Feierabend")
    assert (imp.viewers, imp.live, imp.faults) == (12, False, "slow:2,no_ranges")
    assert (imp.timetable, imp.ads) == (((60.0, "Chess"),), ((-20.0, 15.0),))
    assert [read.is_game(name) for name in ("Doom", "Chess", "Just Chatting")] == [True, False, False]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("x =", "is not TOML", id="no TOML"),
        pytest.param("colour = 1", "colour: Extra inputs", id="an unknown key"),
        pytest.param("[channels.imp]\nviewers = -1", "channels.imp.viewers", id="a wrong value"),
        pytest.param('[channels.imp]\nfaults = ["slwo"]', "did you mean slow", id="a fault misspelt"),
        pytest.param(
            "[channels.ghost]", "channels.ghost: there is no such video", id="a channel without a file"
        ),
        pytest.param(
            '[channels.imp]\nads = [{ after = "soon", for = "15s" }]',
            "channels.imp.ads.0.after",
            id="no time",
        ),
    ],
)
def test_a_wrong_station_toml_is_refused_by_key(folder: Path, text: str, message: str) -> None:
    (folder / "station.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        read_folder(folder)


def test_an_empty_folder_says_where_videos_are_looked_for(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="FOLDER/Category name/channel"):
        read_folder(tmp_path)
    with pytest.raises(ConfigError, match="is not a folder"):
        read_folder(tmp_path / "nowhere")


def test_two_files_of_one_login_are_refused(folder: Path) -> None:
    (folder / "Doom" / "Board.mp4").touch()
    with pytest.raises(ConfigError, match="would both be the channel board"):
        read_folder(folder)


def test_numbers_are_stable_and_of_the_length_asked_for() -> None:
    assert number_for("category Chess") == number_for("category chess") != number_for("category Doom")
    assert {len(str(number_for(f"text {n}", digits=3))) for n in range(200)} == {3}


def test_every_packaged_clip_is_listed_with_its_licence() -> None:
    listed = json.loads((PACKAGED_CLIPS / "clips.json").read_text(encoding="utf-8"))
    files = {str(plan.file.relative_to(PACKAGED_CLIPS)) for plan in read_folder(PACKAGED_CLIPS).channels}
    assert {entry["file"] for entry in listed} == files
    licences = (PACKAGED_CLIPS / "LICENSES.md").read_text(encoding="utf-8")
    for entry in listed:
        assert f"{entry['category']}: {entry['channel']}\n" in licences
        assert entry["licence"] in licences
    assert sum(path.stat().st_size for path in PACKAGED_CLIPS.rglob("*")) < 8_000_000
