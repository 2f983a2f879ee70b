"""Liveness of a worker: health, watchdog, broker monitor, lag, memory, exit codes."""
