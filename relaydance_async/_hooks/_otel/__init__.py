"""OpenTelemetry: spans and metrics by its conventions for GenAI clients and HTTP clients. The extra is `otel`.

hook        what a caller makes; OpenTelemetry is imported with the first one
spans       the spans of a call, its attempts, and a wait
metrics     the instruments of HTTP, and our own
genai       those of the GenAI conventions, old and new
attributes  what of a request and a result is shown
content     prompts and answers, for whoever asks for them
names       of attributes, metrics and events
"""

from .hook import OpenTelemetry

__all__ = ["OpenTelemetry"]
