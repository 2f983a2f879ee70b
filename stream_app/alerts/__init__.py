"""Alerts: messages about flags. The rules, the sinks, the state, and the process that delivers."""
