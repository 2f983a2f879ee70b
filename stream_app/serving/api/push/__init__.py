"""What is sent without being asked for each time: flags and the page's updates, as server-sent events."""
