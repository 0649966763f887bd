"""The bucket of points that Helix calls are paid from. Pure but for what it holds."""


class Bucket:
    """Fills evenly with so many points per minute, and holds no more than that."""

    def __init__(self, *, per_minute: int, now_s: float) -> None:
        self._per_second = per_minute / 60
        self._most = float(per_minute)
        self._points = self._most
        self._at_s = now_s

    def points(self, now_s: float) -> int:
        """Whole points left at a moment."""
        self._fill(now_s)
        return int(self._points)

    def take(self, now_s: float) -> bool:
        """Take one point; False if there is none."""
        self._fill(now_s)
        if self._points < 1:
            return False
        self._points -= 1
        return True

    def full_at(self, now_s: float) -> float:
        """When the bucket is full again."""
        self._fill(now_s)
        return now_s + (self._most - self._points) / self._per_second

    def _fill(self, now_s: float) -> None:
        gained = max(0.0, now_s - self._at_s) * self._per_second
        self._points = min(self._most, self._points + gained)
        self._at_s = now_s
