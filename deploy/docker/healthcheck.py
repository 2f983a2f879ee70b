"""Docker's health check: ends with 0 while the process in this container is well, as its /livez tells."""

import os
import sys
from http.client import HTTPConnection, HTTPException

TIMEOUT_S = 4.0

port = int(sys.argv[1] if sys.argv[1:] else os.environ.get("STREAM_APP_HTTP_PORT", "6066"))
worker = HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
try:
    worker.request("GET", "/livez")
    answer = worker.getresponse()
    told = answer.read().decode(errors="replace")
except (OSError, HTTPException) as error:
    sys.exit(f"no answer from {worker.host}:{worker.port}/livez: {error}")
print(told)
sys.exit(answer.status != 200)
