"""What a store makes of reports: the rule itself, at times that the test says."""

from __future__ import annotations

from relaydance_async._sansio.sharing import Grant, Kept, Report, exchange
from relaydance_async._sansio.sharing.part import MANY


class Told:
    """One process that wants all, and what is kept of its limit."""

    def __init__(self) -> None:
        self.kept = Kept()
        self.now = 100.0

    def tell(
        self, kind: str = "searching", amount: float = 0.0, held: int = 0, accepted: int = 0, refused: int = 0
    ) -> Grant:
        self.now += 0.25
        return exchange(self.kept, Report("limit", "a", kind, amount, 0.0, MANY, held, accepted, refused), self.now)

    def pass_for(self, seconds: float, a_second: int) -> None:
        for _ in range(round(4 * seconds)):
            self.tell(accepted=a_second // 4)


def test_a_rate_is_no_more_than_a_quarter_above_what_passed() -> None:
    told = Told()
    told.pass_for(10, 20)
    assert told.kept.scout == "a"
    told.tell("rate", 100.0)  # a window that opened in parts
    assert 20 <= told.kept.limit <= 26


def test_a_window_that_has_shut_is_judged_when_it_is_open_again() -> None:
    told = Told()
    told.pass_for(10, 20)
    told.tell("rate", 20.0)
    told.pass_for(2, 20)
    before = told.kept.limit
    for _ in range(8):
        told.tell(refused=1)
        assert told.kept.limit >= before
    told.pass_for(0.5, 20)
    assert told.kept.cuts == 1
    assert told.kept.limit >= 15, "a pause of two seconds is no rate of nothing"


def test_places_of_which_nothing_is_left_are_a_rate() -> None:
    told = Told()
    told.tell()
    assert told.tell("under way", 20.0).kind == "under way"
    for _ in range(60):  # a rate, found as places: however few are under way, some are refused
        if told.kept.kind == "rate":
            break
        told.tell(held=round(told.kept.limit), accepted=5, refused=2)
    assert told.kept.kind == "rate"
    assert told.kept.limit >= 10
    assert told.kept.cuts == 0
