"""Influence beyond volume: deciding what events are worth to others, sending it to them, and counting it."""
