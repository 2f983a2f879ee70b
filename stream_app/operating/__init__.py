"""What operators do: look at what was set aside, examine all, reset it. Imports core, settings and engine.topics."""
