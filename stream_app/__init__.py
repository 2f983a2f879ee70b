"""Streaming influence-impression tracker: mass connectors and mass mavens, as they emerge."""

__version__ = "0.1.0"
