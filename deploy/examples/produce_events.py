"""Produce one post and one share: the least that the tracker needs to know of an event."""

import json
import os
import time

from kafka import KafkaProducer

producer = KafkaProducer(bootstrap_servers=os.environ.get("STREAM_APP_BROKERS", "127.0.0.1:9092"))
post = {"event_id": "p1", "ts": int(time.time() * 1000), "user_id": "ann", "topics": ["tea"], "audience": 340}
share = post | {"event_id": "s1", "user_id": "bob", "post_id": "p1", "author_id": "ann", "impressions": 5120}
for topic, event in (("influence.posts", post), ("influence.shares", share)):
    producer.send(topic, key=event["user_id"].encode(), value=json.dumps(event).encode())
producer.flush()
