"""Which channel goes into which split."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twitchcat.dataset.deal import SPLITS, Member, Shares, deal
from twitchcat.dataset.snapshot import Split
from twitchcat.errors import ConfigError


def members(**channels: str) -> list[Member]:
    """Channels by login, their categories a letter each."""
    return [Member(login=login, categories=frozenset(letters)) for login, letters in channels.items()]


def of_category(count: int, category: str = "c") -> list[Member]:
    return members(**{f"{category}{i}": category for i in range(count)})


def counted(splits: dict[str, Split], among: list[Member]) -> dict[str, int]:
    return {split: sum(splits[one.login] == split for one in among) for split in SPLITS}


@pytest.mark.parametrize(
    ("channels", "expected"),
    [
        pytest.param(1, (1, 0, 0), id="one: it is for training"),
        pytest.param(2, (1, 0, 1), id="two: one for training, one for the test"),
        pytest.param(3, (1, 1, 1), id="three: one each"),
        pytest.param(7, (5, 1, 1), id="seven: the shares come to one each"),
        pytest.param(20, (14, 3, 3), id="twenty: the shares"),
    ],
)
def test_a_category_alone_is_dealt_by_the_shares(channels: int, expected: tuple[int, int, int]) -> None:
    group = of_category(channels)
    assert tuple(counted(deal(group, Shares(), seed=0), group).values()) == expected


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        pytest.param(Shares(val=0.2, test=0.0), (4, 1, 0), id="no test"),
        pytest.param(Shares(val=0.0, test=0.4), (3, 0, 2), id="no validation"),
        pytest.param(Shares(val=0.49, test=0.49), (1, 2, 2), id="something is left for training"),
    ],
)
def test_shares_may_be_anything_that_leaves_training(shares: Shares, expected: tuple[int, int, int]) -> None:
    group = of_category(5)
    assert tuple(counted(deal(group, shares, seed=0), group).values()) == expected


@pytest.mark.parametrize(("val", "test"), [(0.5, 0.5), (-0.1, 0.2), (0.0, 1.0)])
def test_shares_that_leave_nothing_are_refused(val: float, test: float) -> None:
    with pytest.raises(ConfigError, match="leave something for training"):
        Shares(val=val, test=test)


def test_the_seed_decides_and_the_order_does_not() -> None:
    group = of_category(30)
    assert deal(group, Shares(), seed=1) == deal(list(reversed(group)), Shares(), seed=1)
    assert deal(group, Shares(), seed=1) != deal(group, Shares(), seed=2)


def test_channels_that_were_dealt_stay_where_they_are() -> None:
    old = of_category(10)
    first = deal(old, Shares(), seed=0)
    grown = [*old, *members(new1="c", new2="c")]
    second = deal(grown, Shares(val=0.3, test=0.3), seed=5, dealt=first)
    assert {login: second[login] for login in first} == first
    assert {second["new1"], second["new2"]} == {"val", "test"}  # of 12, four each are wanted


def test_a_channel_of_two_categories_counts_for_both() -> None:
    group = members(a1="a", a2="a", both="ab", b1="b", b2="b")
    splits = deal(group, Shares(), seed=0)
    for category in "ab":
        mine = [one for one in group if category in one.categories]
        assert min(counted(splits, mine).values()) == 1


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.sets(st.sampled_from("abcd"), min_size=1, max_size=2), min_size=1, max_size=24),
    st.integers(0, 1000),
)
def test_categories_with_three_channels_of_their_own_are_in_every_split(
    letters: list[set[str]], seed: int
) -> None:
    shared = members(**{f"shared{i}": "".join(sorted(one)) for i, one in enumerate(letters)})
    group = [*shared, *(one for category in "abcd" for one in of_category(3, category))]
    splits = deal(group, Shares(), seed=seed)
    for category in "abcd":
        mine = [one for one in group if category in one.categories]
        assert min(counted(splits, mine).values()) >= 1


def test_a_category_whose_channels_others_took_gets_one_by_an_exchange() -> None:
    # Three channels of "z", each of them also in a category that chooses before: some seeds would take all.
    for seed in range(200):
        group = members(z1="za", z2="zb", z3="zc", a1="a", b1="b", c1="c", a2="a", b2="b", c2="c")
        splits = deal(group, Shares(), seed=seed)
        for category in "zabc":
            mine = [one for one in group if category in one.categories]
            assert min(counted(splits, mine).values()) == 1, (seed, category)
