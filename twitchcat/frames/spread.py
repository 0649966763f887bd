"""Which segments of a playlist window are looked at."""


def spread(count: int, available: int) -> tuple[int, ...]:
    """Choose up to `count` of `available` positions, evenly, with both ends; ascending, none twice.

    A single one is the newest, the last position: it says most about now. Nothing is chosen from nothing.

    >>> spread(4, 10)
    (0, 3, 6, 9)
    >>> spread(1, 10)
    (9,)
    """
    if count <= 0 or available <= 0:
        return ()
    if count == 1:
        return (available - 1,)
    chosen = min(count, available)
    return tuple(round(i * (available - 1) / (chosen - 1)) for i in range(chosen)) if chosen > 1 else (0,)
