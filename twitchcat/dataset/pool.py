"""The pool that carries out visits: values in, values out, so that it may run elsewhere."""

import queue
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar

Order_contra = TypeVar("Order_contra", contravariant=True)
Report_co = TypeVar("Report_co", covariant=True)
_O = TypeVar("_O")
_R = TypeVar("_R")


class Pool(Protocol[Order_contra, Report_co]):
    """Carries out orders, several at a time, and gives their reports back in the order they finish."""

    @property
    def size(self) -> int:
        """How many orders are carried out at once."""

    def submit(self, order: Order_contra) -> None:
        """Have an order carried out; returns at once."""

    def wait(self, timeout_s: float) -> Report_co | None:
        """The next report, or None after `timeout_s` seconds.

        An error that no report tells is raised here, where the orders are given.
        """

    def close(self) -> None:
        """Wait for what is in hand and stop."""


class LocalPool(Generic[_O, _R]):
    """A pool of threads in this process."""

    def __init__(self, carry_out: Callable[[_O], _R], *, size: int) -> None:
        self._carry_out = carry_out
        self._size = size
        self._threads = ThreadPoolExecutor(max_workers=size, thread_name_prefix="visit")
        self._done: queue.SimpleQueue[Future[_R]] = queue.SimpleQueue()

    @property
    def size(self) -> int:
        """How many orders are carried out at once."""
        return self._size

    def submit(self, order: _O) -> None:
        """Have an order carried out by the next free thread."""
        self._threads.submit(self._carry_out, order).add_done_callback(self._done.put)

    def wait(self, timeout_s: float) -> _R | None:
        """The next report, or None after `timeout_s` seconds; raises what the visit raised."""
        try:
            return self._done.get(timeout=timeout_s).result()
        except queue.Empty:
            return None

    def close(self) -> None:
        """Wait for what is in hand and stop."""
        self._shut(wait=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close; whoever interrupts for good does not wait for what is in hand."""
        self._shut(wait=not isinstance(error, KeyboardInterrupt))

    def _shut(self, *, wait: bool) -> None:
        self._threads.shutdown(wait=wait, cancel_futures=True)
