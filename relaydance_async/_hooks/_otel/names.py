"""Names of the conventions (semantic-conventions-genai 0.1, semantic-conventions 1.44), and our own for the rest.

Left out of what they recommend: `network.*`, which not every way to send can tell.
"""

from __future__ import annotations

from typing import Final

PROVIDER: Final = "relaydance"

# GenAI (status: development)
OPERATION_NAME: Final = "gen_ai.operation.name"
PROVIDER_NAME: Final = "gen_ai.provider.name"
OUTPUT_TYPE: Final = "gen_ai.output.type"
REQUEST_MODEL: Final = "gen_ai.request.model"
REQUEST_STREAM: Final = "gen_ai.request.stream"
REQUEST_CHOICES: Final = "gen_ai.request.choice.count"
REQUEST_MAX_TOKENS: Final = "gen_ai.request.max_tokens"
REQUEST_STOP: Final = "gen_ai.request.stop_sequences"
RESPONSE_ID: Final = "gen_ai.response.id"
RESPONSE_MODEL: Final = "gen_ai.response.model"
RESPONSE_FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
RESPONSE_FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"
PREVIOUS_RESPONSE: Final = "gen_ai.request.previous_response.id"
REASONING_LEVEL: Final = "gen_ai.request.reasoning.level"
DIMENSIONS: Final = "gen_ai.embeddings.dimension.count"
ENCODINGS: Final = "gen_ai.request.encoding_formats"
INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
CACHE_READ_TOKENS: Final = "gen_ai.usage.cache_read.input_tokens"
REASONING_TOKENS: Final = "gen_ai.usage.reasoning.output_tokens"
INPUT_MESSAGES: Final = "gen_ai.input.messages"
OUTPUT_MESSAGES: Final = "gen_ai.output.messages"
TOOL_DEFINITIONS: Final = "gen_ai.tool.definitions"
SYSTEM_INSTRUCTIONS: Final = "gen_ai.system_instructions"
TOKEN_TYPE: Final = "gen_ai.token.type"
TOKEN_MODALITY: Final = "gen_ai.token.modality"

# HTTP (status: stable)
ERROR_TYPE: Final = "error.type"
METHOD: Final = "http.request.method"
RESEND_COUNT: Final = "http.request.resend_count"
STATUS_CODE: Final = "http.response.status_code"
SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"
URL_FULL: Final = "url.full"
URL_TEMPLATE: Final = "url.template"

# Ours
ATTEMPTS: Final = "relaydance.attempts"
CALL_ID: Final = "relaydance.call.id"
CANCELLED: Final = "relaydance.cancelled"
COST: Final = "relaydance.cost"
ERROR_CODE: Final = "relaydance.error.code"
LEFT: Final = "relaydance.stream.left"
KEY: Final = "relaydance.key"
LIMITER: Final = "relaydance.limiter"
MAYBE_ACCEPTED: Final = "relaydance.maybe_accepted"
REPLAYED: Final = "relaydance.replayed"
REQUEST_ID: Final = "relaydance.request_id"
TASK_ID: Final = "relaydance.task.id"
TASK_STATUS: Final = "relaydance.task.status"
TASK_PROGRESS: Final = "relaydance.task.progress"
WAIT: Final = "relaydance.wait"
WHY: Final = "relaydance.why"

# Events
QUEUED: Final = "relaydance.queued"
RETRY: Final = "relaydance.retry"
POLL: Final = "relaydance.poll"
