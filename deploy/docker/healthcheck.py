"""Docker's health check: ends with 0 while the worker in this container counts, as /livez tells."""

import os
import sys
from http.client import HTTPConnection, HTTPException

TIMEOUT_S = 4.0

worker = HTTPConnection("127.0.0.1", int(os.environ.get("STREAM_APP_HTTP_PORT", "6066")), timeout=TIMEOUT_S)
try:
    worker.request("GET", "/livez")
    answer = worker.getresponse()
    told = answer.read().decode(errors="replace")
except (OSError, HTTPException) as error:
    sys.exit(f"no answer from {worker.host}:{worker.port}/livez: {error}")
print(told)
sys.exit(answer.status != 200)
