"""The folder that a station plays, and its station.toml."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from twitchcat.errors import ConfigError
from twitchcat.station import folder as folder_module
from twitchcat.station.folder import LONGEST_LOGIN, PACKAGED_CLIPS, LeftOut, number_for

#: What is in the files makes no difference here, unless a test says so.
read_folder = partial(folder_module.read_folder, flaw=lambda _: None)


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
        pytest.param("[channels.impp]", "did you mean imp", id="a channel misspelt"),
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


@pytest.mark.parametrize(
    ("files", "logins"),
    [
        pytest.param(
            ["Chess/s1.mp4", "Doom/s1.mp4", "Doom/s2.mp4"],
            ["chess_s1", "doom_s1", "s2"],
            id="the same name in two categories: each category's before it",
        ),
        pytest.param(
            ["Chess/Board.mp4", "Chess/board.mkv"],
            ["chess_board", "chess_board_2"],
            id="the same login twice in a category: numbered",
        ),
        pytest.param(["Chess/My Best Games!.mp4"], ["my_best_games"], id="capitals, spaces, signs"),
        pytest.param(["Chess/Käse.mp4", "Chess/象棋.mp4"], ["channel", "kase"], id="other alphabets"),
        pytest.param([f"Chess/{'a' * 30}.mp4"], ["a" * LONGEST_LOGIN], id="too long"),
        pytest.param(
            [f"Chess/{'a' * 30}.mp4", f"Chess/{'a' * 29}.mp4"],
            [f"{'a' * 23}_2", "a" * LONGEST_LOGIN],
            id="too long, and then the same",
        ),
        pytest.param(
            ["Software and Game Development/s1.mp4", "Doom/s1.mp4"],
            ["doom_s1", "software_and_game_deve_s1"],
            id="no room for the whole category",
        ),
        pytest.param(
            ["A/s1.mp4", "B/s1.mp4", "C/a_s1.mp4"],
            ["a_s1", "a_s1_2", "b_s1"],
            id="a name in use",
        ),
    ],
)
def test_every_file_has_a_login_of_its_own(tmp_path: Path, files: list[str], logins: list[str]) -> None:
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert sorted(plan.login for plan in read_folder(tmp_path).channels) == logins
    more = [plan.login for plan in read_folder(tmp_path, channels=12).channels]
    assert len(set(more)) == 12
    assert max(len(login) for login in more) <= LONGEST_LOGIN


def test_what_is_no_video_is_left_out_by_name(folder: Path) -> None:
    read = folder_module.read_folder(folder, flaw=_only("imp.ts"))
    assert [plan.login for plan in read.channels] == ["imp"]
    assert set(read.left_out) == {
        LeftOut(folder / "Chess" / "board.mp4", "no video"),
        LeftOut(folder / "Chess" / "Fast Games.mkv", "no video"),
    }


def test_only_as_many_files_are_looked_into_as_are_asked_for(folder: Path) -> None:
    looked: list[Path] = []
    folder_module.read_folder(folder, channels=2, flaw=looked.append)
    assert len(looked) == 2


def test_without_one_video_that_can_be_played_the_first_is_named(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"no video that can be played; .*Fast Games\.mkv: no video"):
        folder_module.read_folder(folder, flaw=_only("none"))


def test_a_login_in_station_toml_may_be_that_of_a_file_left_out(folder: Path) -> None:
    (folder / "station.toml").write_text("[channels.board]\nviewers = 3", encoding="utf-8")
    assert len(folder_module.read_folder(folder, flaw=_only("imp.ts")).channels) == 1


def _only(name: str) -> Callable[[Path], str | None]:
    return lambda path: None if path.name == name else "no video"


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
