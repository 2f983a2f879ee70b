"""Commands that need neither Kafka nor Redis: what recorded events say."""
