"""Admission: when an attempt may begin."""

from ._admission import Admission, Ended, How, Kind, Lease, Ticket
from ._foreign import ForeignAdmission
from ._key_outage import KeyOutage
from ._key_pace import KeyPace
from ._local import LocalAdmission

__all__ = [
    "Admission",
    "Ended",
    "ForeignAdmission",
    "How",
    "KeyOutage",
    "KeyPace",
    "Kind",
    "Lease",
    "LocalAdmission",
    "Ticket",
]
