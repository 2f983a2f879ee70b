"""The funnel in its stored formats: events that are pending, what was decided, and credits on their way."""
