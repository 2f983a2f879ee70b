"""The state of `stream-app alerts run`: its records in Kafka, what follows from them, and their writer."""
