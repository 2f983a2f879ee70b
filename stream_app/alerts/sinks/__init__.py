"""Where messages go: one file per kind of sink, the workers that send, and when they retry."""
