"""Admission: when an attempt may begin."""

from ._admission import Admission, Ended, Kind, Lease, Ticket
from ._foreign import ForeignAdmission
from ._gate import Gate, Line
from ._key_pace import KeyPace
from ._local import LocalAdmission
from ._permits import Permits

__all__ = [
    "Admission",
    "Ended",
    "ForeignAdmission",
    "Gate",
    "KeyPace",
    "Kind",
    "Lease",
    "Line",
    "LocalAdmission",
    "Permits",
    "Ticket",
]
