"""The signals of inflation on recorded events, among which pods, bots and others are planted."""
