"""A line: by priority, in the order they came, and anybody may leave it at any time."""

from __future__ import annotations

import random
import time
import tracemalloc
from dataclasses import dataclass

import pytest

from relaydance_async._limits._line import Line


@dataclass(eq=False, slots=True)
class Person:
    number: int
    priority: int = 0
    waits: bool = True


def leave(line: Line[Person], person: Person) -> None:
    person.waits = False
    line.left()


def served(line: Line[Person]) -> list[int]:
    numbers: list[int] = []
    while line.waiting:
        numbers.append(line.pop().number)
    return numbers


def test_equal_ones_come_in_the_order_they_came() -> None:
    line: Line[Person] = Line()
    for number in range(5):
        line.join(Person(number), 0)
    assert served(line) == [0, 1, 2, 3, 4]


def test_the_higher_priority_comes_first() -> None:
    line: Line[Person] = Line()
    for number, priority in enumerate([0, -3, 7, 0, 7]):
        line.join(Person(number), priority)
    assert served(line) == [2, 4, 0, 3, 1]


def test_looking_who_is_first_takes_nobody_out() -> None:
    line: Line[Person] = Line()
    line.join(Person(1), 0)
    assert line.first() is line.first()
    assert line.waiting == 1


@pytest.mark.parametrize("seed", range(20))
def test_it_serves_like_a_sorted_list_whoever_leaves(seed: int) -> None:
    dice = random.Random(seed)
    line: Line[Person] = Line()
    expected: list[Person] = []
    for number in range(2_000):
        what = dice.random()
        if what < 0.5:
            person = Person(number, dice.choice([0, 0, 0, 1, -1, number]))
            line.join(person, person.priority)
            expected.append(person)
        elif what < 0.8 and expected:
            leave(line, expected.pop(dice.randrange(len(expected))))
        elif expected:
            first = max(expected, key=lambda person: (person.priority, -person.number))
            expected.remove(first)
            assert line.first() is first
            assert line.pop() is first
        assert line.waiting == len(expected)
        assert {person.number for person in line.all()} == {person.number for person in expected}


@pytest.mark.parametrize("order", ["first", "last", "random"])
def test_when_very_many_leave_it_takes_a_short_time_and_keeps_none_of_them(order: str) -> None:
    people = [Person(number) for number in range(100_000)]
    tracemalloc.start()
    try:
        line: Line[Person] = Line()
        empty = tracemalloc.get_traced_memory()[0]
        for person in people:
            line.join(person, 0)
        if order == "random":
            random.Random(1).shuffle(people)
        elif order == "last":
            people.reverse()
        begun = time.process_time()
        for person in people:
            leave(line, person)
        assert time.process_time() - begun < 5  # seconds; were it quadratic, hours
        assert line.waiting == 0
        assert line.all() == []
        assert tracemalloc.get_traced_memory()[0] - empty < 10_000
    finally:
        tracemalloc.stop()
