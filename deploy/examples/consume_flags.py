"""A consumer of influence.flags: prints every flag once, and continues after a restart where it was."""

import json
import os
import signal
import sqlite3

from kafka import KafkaConsumer

signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends it without a traceback
brokers = os.environ.get("STREAM_APP_BROKERS", "127.0.0.1:9092")
group = {"group_id": "flags-example", "auto_offset_reset": "earliest", "session_timeout_ms": 6000}  # keeps its place
seen = sqlite3.connect("flags-seen.db")  # a flag can come again, even much later, with the same flag_id
seen.execute("CREATE TABLE IF NOT EXISTS flags (flag_id PRIMARY KEY)")
for record in KafkaConsumer("influence.flags", bootstrap_servers=brokers, **group):
    flag = json.loads(record.value)
    with seen:  # what is cut short in here is not seen, and comes again
        if seen.execute("INSERT OR IGNORE INTO flags VALUES (?)", [flag["flag_id"]]).rowcount:
            print("{type} {user_id} {role} of {topic} {value} / {threshold}".format(**flag))
