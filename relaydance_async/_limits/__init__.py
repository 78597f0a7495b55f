"""Admission: when an attempt may begin."""

from ._admission import Admission, Ended, How, Kind, Lease, Order, Ticket
from ._book import Book
from ._foreign import ForeignAdmission
from ._key_outage import KeyOutage
from ._local import LocalAdmission
from ._settings import Limit, Limits

__all__ = [
    "Admission",
    "Book",
    "Ended",
    "ForeignAdmission",
    "How",
    "KeyOutage",
    "Kind",
    "Lease",
    "Limit",
    "Limits",
    "LocalAdmission",
    "Order",
    "Ticket",
]
