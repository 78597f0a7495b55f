"""Admission: when an attempt may begin."""

from ._admission import Admission, Ended, How, Kind, Lease, Order, Ticket
from ._book import Book
from ._foreign import ForeignAdmission
from ._key_outage import KeyOutage
from ._local import LocalAdmission
from ._settings import Limit, Limits
from ._shared import SharedLimits
from ._snapshot import AllLimits, KnownLimits, LimiterSnapshot, LimitsSnapshot

__all__ = [
    "Admission",
    "AllLimits",
    "Book",
    "Ended",
    "ForeignAdmission",
    "How",
    "KeyOutage",
    "Kind",
    "KnownLimits",
    "Lease",
    "Limit",
    "LimiterSnapshot",
    "Limits",
    "LimitsSnapshot",
    "LocalAdmission",
    "Order",
    "SharedLimits",
    "Ticket",
]
