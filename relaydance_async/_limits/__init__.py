"""Admission: when an attempt may begin."""

from ._admission import Admission, Ended, Kind, Lease, Ticket
from ._foreign import ForeignAdmission
from ._key_pace import KeyPace
from ._local import LocalAdmission

__all__ = ["Admission", "Ended", "ForeignAdmission", "KeyPace", "Kind", "Lease", "LocalAdmission", "Ticket"]
