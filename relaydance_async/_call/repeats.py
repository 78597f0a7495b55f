"""The repeats of a call, driven by tenacity: entered at the first failure, for most calls have none."""

from __future__ import annotations

from tenacity import DoSleep, RetryCallState, Retrying, retry_if_result


class Repeats:
    """Those of one call, for tenacity keeps its state on itself.

    It is told nothing but the waits that were decided on: its objects know each other, and would leave whatever they
    hold to the garbage collector. Its asynchronous form would ask `inspect`, at each step, whether our functions are
    coroutines, which takes longer than the attempt.
    """

    __slots__ = ("_retrying", "_state")

    def __init__(self) -> None:
        self._retrying = Retrying(retry=retry_if_result(_is_repeated), wait=_wait)
        self._retrying.begin()
        self._state = RetryCallState(self._retrying, None, (), {})

    def after(self, wait: float | None) -> float | None:
        """An attempt has ended, and is to be repeated after so many seconds, or not.

        Returns:
            The seconds to sleep; None: the call is over.
        """
        self._state.set_result(wait)
        step = self._retrying.iter(self._state)
        if not isinstance(step, DoSleep):
            return None
        self._state.prepare_for_next_attempt()
        return step


def _is_repeated(wait: float | None) -> bool:
    return wait is not None


def _wait(state: RetryCallState) -> float:
    return state.outcome.result() if state.outcome is not None else 0.0
