"""The HTTP server of a worker, and who may ask it."""
