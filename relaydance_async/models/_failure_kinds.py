"""What a failed task's code means for a program: whether it helps to submit again."""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

FailureKind: TypeAlias = Literal["refused content", "bad input", "transient", "unknown"]

# Codes are compared without case and punctuation. The first pattern that is found decides: a code such as
# `InputImageSensitiveContentDetected.PrivacyInformation` is about content, whatever else is in it. (Codes of Seedance
# as the gateway relays them, and those that other providers document.)
_KINDS: tuple[tuple[FailureKind, re.Pattern[str]], ...] = (
    (
        "refused content",
        re.compile(
            "sensitive|privacyinformation|moderat|policyviolat|contentpolicy|contentfilter|violationfee|nsfw|copyright"
            "|datainspectionfailed|riskdetect|riskcontrol|promptblocked|contentblocked|contentrefused|unsafecontent"
        ),
    ),
    (
        "transient",
        re.compile(
            "internal(service|server)?error|timeout|timedout|expired|ratelimit|requestlimit|toomanyrequests|throttl"
            r"|overload|unavailable|serverbusy|servicebusy|^(408|429|5\d\d)$"
        ),
    ),
    (
        "bad input",
        re.compile(
            "invalid(parameter|request|argument|input|image|video|audio|prompt|url|format)|missingparameter|badrequest"
            r"|unsupported|outofrange|toolarge|^(400|413|415|422)$"
        ),
    ),
)
_PUNCTUATION = re.compile(r"[\W_]+")


def failure_kind(code: str | None) -> FailureKind:
    """The kind of failure that a code of the gateway or of its upstreams means."""
    plain = _PUNCTUATION.sub("", code or "").lower()
    for kind, pattern in _KINDS:
        if pattern.search(plain):
            return kind
    return "unknown"
