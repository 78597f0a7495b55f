"""Whether refusals are a limit or chance: a CUSUM (Page, 1954) over the attempts in the order of admission.

It rises by 1 with each refusal and falls by 1 with each accepted call, never below 0. A limit is believed when it has
risen so far that chance would not. The share of chance is measured outside of such rises.
"""

from __future__ import annotations

import math

from .facts import Facts


class Chance:
    """The test. `factor` is on what it takes to be believed."""

    __slots__ = ("_accepted", "_facts", "_learns", "_refused", "began_at", "height")

    def __init__(self, facts: Facts, learns: bool = True) -> None:
        self._facts = facts
        self._learns = learns
        self.height: float = 0.0
        self.began_at: float = 0.0
        """When the first refusal of this rise was admitted."""
        self._accepted = 0
        self._refused = 0

    def bound(self, least: float) -> float:
        """How high it must rise."""
        numbers, noise = self._facts.numbers, min(self._facts.noise, 0.45)
        if noise < numbers.noisy_from:
            return least
        wanted = numbers.certainty / math.log((1 - noise) / noise)
        return max(least, min(numbers.believed_most, wanted) * least / numbers.believed)

    def accepted(self) -> None:
        """A call was."""
        if self.height > 0:
            self.height -= 1.0
            self._accepted += 1
            if self.height == 0:
                self._learn(self._refused, self._accepted)
        elif self._learns:
            self._facts.learn_accepted()

    def refused(self, at: float) -> None:
        """A call that was admitted then was."""
        if self.height == 0:
            self.began_at, self._refused, self._accepted = at, 0, 0
        self.height += 1.0
        self._refused += 1

    def _learn(self, refused: int, accepted: int) -> None:
        if self._learns:
            self._facts.learn_noise(refused, refused + accepted)
