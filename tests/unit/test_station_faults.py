"""Faults as they are written, and what is on air while they are set."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from twitchcat.errors import ConfigError
from twitchcat.station.faults import FAULTS, Fault, FaultKind, parse_assignments, parse_faults
from twitchcat.station.folder import PACKAGED_CLIPS, read_folder
from twitchcat.station.lineup import Lineup

DOCS = Path(__file__).parents[2] / "docs" / "station.md"


@dataclass
class Clock:
    now_s: float = 1_790_000_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lineup(clock: Clock) -> Lineup:
    return Lineup(read_folder(PACKAGED_CLIPS), window=15, clock=clock)


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        pytest.param("", (), id="none"),
        pytest.param("slow", (Fault(FaultKind.SLOW),), id="one"),
        pytest.param("slow:0.5", (Fault(FaultKind.SLOW, 0.5),), id="seconds"),
        pytest.param("rate_limit:2s", (Fault(FaultKind.RATE_LIMIT, 2.0),), id="seconds with their unit"),
        pytest.param("fmp4, garbage", (Fault(FaultKind.FMP4), Fault(FaultKind.GARBAGE)), id="several"),
    ],
)
def test_faults_are_read(text: str, faults: tuple[Fault, ...]) -> None:
    assert parse_faults(text) == faults


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("slwo", "unknown fault slwo; did you mean slow?", id="misspelt"),
        pytest.param("zzz", "there are: not_found", id="unlike any"),
        pytest.param("slow:soon", "soon is no number", id="no number"),
        pytest.param("slow:0", "longer than zero", id="no time at all"),
        pytest.param("garbage:3", "takes no seconds", id="seconds where there are none"),
    ],
)
def test_wrong_faults_are_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_faults(text)


def test_options_assign_faults_to_channels() -> None:
    assert parse_assignments(["a=slow:2", "*=fmp4", "a=no_ranges"]) == {"a": "slow:2,no_ranges", "*": "fmp4"}
    for wrong in ("slow", "=slow", "a="):
        with pytest.raises(ConfigError, match="must be LOGIN=KIND"):
            parse_assignments([wrong])


def test_every_fault_is_explained_and_documented() -> None:
    assert set(FAULTS) == set(FaultKind)
    documented = DOCS.read_text(encoding="utf-8")
    assert [kind for kind in FaultKind if f"| `{kind}" not in documented] == []


def test_a_fault_of_all_is_a_fault_of_each_until_cleared(lineup: Lineup) -> None:
    lineup.set_fault("doom_s2", "fmp4")
    lineup.set_fault("*", "slow:2")
    assert [str(fault) for fault in lineup.faults_of(lineup.channels[0])] == ["slow:2"]
    doom = lineup.find("doom_s2")
    assert doom is not None
    assert [str(fault) for fault in lineup.faults_of(doom)] == ["fmp4", "slow:2"]
    lineup.set_fault("*", None)
    assert [lineup.faults_of(channel) for channel in lineup.channels] == [()] * 12


def test_an_unknown_channel_is_refused_by_name(lineup: Lineup) -> None:
    with pytest.raises(ConfigError, match="no channel doom_s1; did you mean doom_s"):
        lineup.set_fault("doom_s1", "slow")


def test_a_reset_counts_from_zero_again_with_a_full_window(lineup: Lineup, clock: Clock) -> None:
    lineup.set_fault("doom_s2", "sequence_reset")
    doom = lineup.find("doom_s2")
    assert doom is not None
    assert (clock.now_s - doom.origin_s, doom.epoch) == (30.0, 1)
    lineup.set_fault("doom_s2", None)
    assert lineup.find("doom_s2") == lineup.find("DOOM_S2")
    after = lineup.find("doom_s2")
    assert after is not None
    assert after.epoch == 1


def test_the_timetable_changes_categories_and_a_switch_holds_until_its_next_entry(
    tmp_path: Path, clock: Clock
) -> None:
    (tmp_path / "Doom").mkdir()
    (tmp_path / "Doom" / "imp.mp4").touch()
    (tmp_path / "station.toml").write_text(
        "[channels.imp]\n"
        'timetable = [{ after = "60s", category = "Chess" }, { after = "2m", category = "" }]\n',
        encoding="utf-8",
    )
    lineup = Lineup(read_folder(tmp_path, flaw=lambda _: None), window=15, clock=clock)
    seen = []
    for step_s, switched in ((0, None), (30, "Art"), (29, None), (1, None), (60, None)):
        clock.now_s += step_s
        if switched is not None:
            lineup.set_category("imp", switched)
        seen.append(lineup.declared(lineup.channels[0]))
    assert seen == ["Doom", "Art", "Art", "Chess", ""]
    assert lineup.categories() == ("Art", "Chess", "Doom")


def test_broadcasts_are_old_enough_for_a_full_window_and_of_different_ages(
    lineup: Lineup, clock: Clock
) -> None:
    ages_s = [clock.now_s - channel.started_s for channel in lineup.channels]
    assert min(ages_s) >= 1800
    assert len(set(ages_s)) == len(ages_s)
