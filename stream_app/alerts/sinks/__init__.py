"""Where messages go: one file for each kind of sink, the workers that send, and when they retry."""
