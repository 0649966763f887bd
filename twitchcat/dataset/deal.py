"""Which channel goes into which split: a function of what there is, the shares and a seed."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from twitchcat.dataset.snapshot import Split
from twitchcat.errors import ConfigError

SPLITS: tuple[Split, ...] = ("train", "val", "test")
_HELD_OUT: tuple[Split, ...] = ("test", "val")
#: From so many channels on, a category has one in every split.
FULL = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """Shares of a category's channels; what remains is for training."""

    val: float = 0.15
    test: float = 0.15

    def __post_init__(self) -> None:
        if min(self.val, self.test) < 0 or self.val + self.test >= 1:
            raise ConfigError("--val and --test are shares from 0 on that leave something for training")

    def wanted(self, channels: int) -> dict[Split, int]:
        """Of so many channels of a category, how many each split should have.

        From three on, one at least for each split whose share is not 0. Of two, one is for training and one
        for the test (for validation, if the test's share is 0); a single one is for training.
        """
        if channels >= FULL:
            val = max(round(channels * self.val), 1) if self.val else 0
            test = max(round(channels * self.test), 1) if self.test else 0
            while val + test >= channels:  # both shares large, and few channels
                val, test = (val - 1, test) if val >= test else (val, test - 1)
        else:
            test = int(channels == 2 and self.test > 0)
            val = int(channels == 2 and self.val > 0 and not test)
        return {"train": channels - val - test, "val": val, "test": test}


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """What is dealt as one: a channel, by login, and the categories it has frames of."""

    login: str
    categories: frozenset[str]  #: ids


def deal(
    members: Iterable[Member],
    shares: Shares,
    *,
    seed: int,
    dealt: Mapping[str, Split] | None = None,
) -> dict[str, Split]:
    """Deal every member into a split, each category by itself as far as members of several allow.

    `dealt` names those that keep the split they have. Returns the split of each login. The same members,
    shares, seed and earlier splits give the same result, in whatever order they come.
    """
    everyone = sorted(members, key=lambda member: _rank(seed, member.login))
    given = {member.login: dealt[member.login] for member in everyone if dealt and member.login in dealt}
    by_category: dict[str, list[Member]] = {}
    for member in everyone:
        for category in sorted(member.categories):
            by_category.setdefault(category, []).append(member)
    wanted = {category: shares.wanted(len(group)) for category, group in by_category.items()}
    splits = dict(given)
    # Rare categories choose first: those with many channels find others.
    for category, group in sorted(by_category.items(), key=lambda one: (len(one[1]), one[0])):
        missing = wanted[category].copy()
        for member in group:
            if member.login in splits:
                missing[splits[member.login]] -= 1
        for member in group:
            if member.login not in splits:
                neediest = max(_HELD_OUT, key=lambda one: missing[one])
                split = neediest if missing[neediest] > 0 else SPLITS[0]
                splits[member.login] = split
                missing[split] -= 1
    _mend(splits, by_category, wanted, fixed=given.keys())
    return splits


def _rank(seed: int, login: str) -> tuple[str, str]:
    return hashlib.sha256(f"{seed} {login}".encode()).hexdigest(), login


def _mend(
    splits: dict[str, Split],
    by_category: Mapping[str, Sequence[Member]],
    wanted: Mapping[str, Mapping[Split, int]],
    *,
    fixed: Iterable[str],
) -> None:
    """Move or exchange members of several categories while that fills an empty place.

    Only they can leave a category with three channels without one in a split: its own were taken by others.
    """
    kept = set(fixed)

    def empty(categories: Iterable[str]) -> int:
        return sum(
            count > 0 and not any(splits[member.login] == split for member in by_category[category])
            for category in categories
            for split, count in wanted[category].items()
        )

    def improved(logins: Sequence[Member], new: Sequence[Split]) -> bool:
        concerned = frozenset[str]().union(*(member.categories for member in logins))
        before = empty(concerned)
        old = [splits[member.login] for member in logins]
        splits.update(zip((member.login for member in logins), new, strict=True))
        if empty(concerned) < before:
            return True
        splits.update(zip((member.login for member in logins), old, strict=True))
        return False

    def step(category: str) -> bool:
        group = [member for member in by_category[category] if member.login not in kept]
        for member in group:
            if any(improved([member], [split]) for split in SPLITS if split != splits[member.login]):
                return True
        for member in group:
            for other in (one for shared in sorted(member.categories) for one in by_category[shared]):
                mine, theirs = splits[member.login], splits[other.login]
                if other.login not in kept and mine != theirs and improved([member, other], [theirs, mine]):
                    return True
        return False

    for category in sorted(by_category):
        while empty([category]) and step(category):
            pass
