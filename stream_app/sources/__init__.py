"""Recorded events to Kafka: file readers, pacing, and the replay."""
