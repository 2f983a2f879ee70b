"""Topics, their cuts and curves, and what is counted by which rules."""
