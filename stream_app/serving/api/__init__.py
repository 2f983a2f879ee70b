"""The HTTP API under /api/v1: what it answers, where the answers come from, and the routes."""
