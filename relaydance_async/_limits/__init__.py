"""Admission: when an attempt may begin."""

from ._gate import Gate, Line
from ._permits import Permits

__all__ = ["Gate", "Line", "Permits"]
