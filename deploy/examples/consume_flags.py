"""Print every flag once, as it comes: what a consumer of influence.flags looks like."""

import json
import os
import signal

from kafka import KafkaConsumer

signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends it without a traceback
brokers = os.environ.get("STREAM_APP_BROKERS", "127.0.0.1:9092")
seen = set()  # when partitions move a flag can come again, with the same flag_id
for record in KafkaConsumer("influence.flags", bootstrap_servers=brokers, auto_offset_reset="earliest"):
    if (flag := json.loads(record.value))["flag_id"] not in seen:
        seen.add(flag["flag_id"])
        print(flag["type"], flag["user_id"], flag["role"], "of", flag["topic"], flag["value"], "/", flag["threshold"])
