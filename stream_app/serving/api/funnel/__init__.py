"""The funnel of a topic: what each worker counted, and all of them together."""
