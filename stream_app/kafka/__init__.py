"""Kafka: every client, topics, TLS and SASL, scanning a topic, and what an error means."""
