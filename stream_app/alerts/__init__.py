"""Alerts: which flags go to whom, what waits, the sinks, and the process that delivers."""
