"""Admission: when an attempt may begin."""

from ._gate import Gate
from ._permits import Permits

__all__ = ["Gate", "Permits"]
