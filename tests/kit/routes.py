"""The sandbox's routes, as its ledger and its faults name them."""

from __future__ import annotations

MODELS = "GET /v1/models"
MODEL = "GET /v1/models/{model}"
CHAT = "POST /v1/chat/completions"
IMAGES = "POST /v1/images/generations"
EDITS = "POST /v1/images/edits"
FILES = "POST /v1/files"
SUBMIT = "POST /v1/video/generations"
FETCH = "GET /v1/video/generations/{task_id}"
CONTENT = "GET /v1/videos/{task_id}/content"
CLIPS = "CDN /clips/{name}"
LOG = "GET /api/log/token"
PRICING = "GET /api/pricing"
TOKEN_USAGE = "GET /api/usage/token/"
SUBSCRIPTION = "GET /v1/dashboard/billing/subscription"
USAGE = "GET /v1/dashboard/billing/usage"
