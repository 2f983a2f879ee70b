"""Recorded events to Kafka: files, their pace, and the replay."""
