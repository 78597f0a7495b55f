"""Settings of hypothesis for these tests."""

from __future__ import annotations

from hypothesis import settings

# A busy machine may stop for longer than any limit on one example.
settings.register_profile("relaydance", deadline=None)
settings.load_profile("relaydance")
