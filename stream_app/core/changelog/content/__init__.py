"""What a segment holds: entries and events of panes, credits for what others did, cut into parts."""
