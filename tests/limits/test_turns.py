"""Whose turn it is: ranks, lanes, views; nobody is starved and nobody is lost."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass

from relaydance_async._sansio.turns import Turns


@dataclass(eq=False)
class Caller:
    name: str
    waits: bool = True


def served(turns: Turns[Caller, str], count: int, closed: frozenset[str] = frozenset()) -> list[str]:
    names: list[str] = []
    for _ in range(count):
        lane = next((lane for lane in turns.order() if lane.on not in closed), None)
        if lane is None:
            break
        names.append(turns.serve(lane).name)
    return names


def join(
    turns: Turns[Caller, str], name: str, priority: int = 0, order: int = 2, view: int = 0, on: str = "a"
) -> Caller:
    caller = Caller(name)
    rank = (priority, order)
    turns.join(caller, (rank, on), rank, view, on)
    return caller


def test_the_lowest_rank_gets_a_twentieth() -> None:
    turns: Turns[Caller, str] = Turns()
    for number in range(2000):
        join(turns, f"high {number}", priority=10)
        join(turns, f"low {number}", priority=-10)
    count = Counter(name.split()[0] for name in served(turns, 1000))
    assert 50 <= count["low"] <= 110


def test_of_three_ranks_each_gets_a_twentieth() -> None:
    turns: Turns[Caller, str] = Turns()
    for number in range(2000):
        for priority in (10, 0, -10):
            join(turns, f"{priority} {number}", priority=priority)
    count = Counter(name.split()[0] for name in served(turns, 1000))
    assert count["10"] >= 850
    assert min(count["0"], count["-10"]) >= 45


def test_a_batch_of_a_thousand_and_a_chat_take_turns_on_one_limit_and_on_two() -> None:
    for other in ("a", "b"):
        turns: Turns[Caller, str] = Turns()
        for number in range(1000):
            join(turns, f"batch {number}", view=1)
        for number in range(5):
            join(turns, f"chat {number}", view=2, on=other)
        names = [name.split()[0] for name in served(turns, 11)]
        assert names.count("chat") == 5


def test_what_is_held_back_holds_up_nothing_else() -> None:
    turns: Turns[Caller, str] = Turns()
    for number in range(10):
        join(turns, f"held {number}", priority=10, on="held")
        join(turns, f"free {number}", on="free")
    assert served(turns, 30, frozenset({"held"})) == [f"free {number}" for number in range(10)]


def test_who_leaves_is_never_served_and_no_lane_stays() -> None:
    for seed in range(30):
        dice = random.Random(seed)
        turns: Turns[Caller, str] = Turns()
        waiting: dict[str, Caller] = {}
        lanes: dict[str, object] = {}
        for number in range(400):
            what = dice.random()
            if what < 0.5:
                name, rank, on = str(number), (dice.choice([0, 1]), dice.choice([0, 1, 2])), dice.choice("ab")
                caller = Caller(name)
                lanes[name] = turns.join(caller, (rank, on), rank, dice.choice([1, 2, 3]), on)
                waiting[name] = caller
            elif what < 0.7 and waiting:
                name = dice.choice([*waiting])
                waiting.pop(name).waits = False
                turns.left(lanes[name])  # type: ignore[arg-type]
            else:
                for name in served(turns, 1):
                    del waiting[name]
            assert sum(lane.waiting for lane in turns.lanes) == len(waiting)
        assert sorted(served(turns, 1000)) == sorted(waiting)
        assert turns.lanes == []
