"""Deduplication: which events of the window were counted already, as 64-bit hashes by pane."""
