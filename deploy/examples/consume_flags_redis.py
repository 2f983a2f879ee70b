"""A consumer of the Redis stream of flags: prints every flag once, and continues after a restart where it was."""

import os
import signal

import redis

STREAM, PLACE, SEEN = "influence:flags", "flags-example:place", "flags-example:seen"
signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends it without a traceback
url = os.environ.get("STREAM_APP_REDIS_URL", "redis://127.0.0.1:6379/0")
board = redis.Redis.from_url(url, decode_responses=True)
while True:
    place = board.get(PLACE) or "0"  # not that of a group, which Redis forgets when the stream expires
    for entry, flag in dict(board.xread({STREAM: place}, 1000, block=1000)).get(STREAM, ()):
        if not board.sismember(SEEN, flag["flag_id"]):  # a flag can come again, with the same flag_id
            print("{type} {user_id} {role} of {topic} {value} / {threshold}".format(**flag))
        done = board.pipeline()  # both or neither, and only now: what is cut short comes again
        done.sadd(SEEN, flag["flag_id"]).set(PLACE, entry).execute()
