"""Taking events back: what each event was counted as, which were taken back, and taking it out of the counts."""
