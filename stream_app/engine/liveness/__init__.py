"""Whether a worker is alive: health, watchdog, broker monitor, lag, exit codes."""
