"""The periodic work: evaluation, exchange of curves, publishing cuts, sending flags, erasures."""
