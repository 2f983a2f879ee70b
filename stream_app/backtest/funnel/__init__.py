"""The funnel of recorded events: both stages of one partition in this process, for `stream-app funnel`."""
