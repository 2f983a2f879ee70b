"""Docker's health check: exits with 0 while /livez of the process in this container answers 200."""

import os
import sys
from http.client import HTTPConnection, HTTPException

TIMEOUT_S = 4.0

probe_port, http_port = (os.environ.get(f"STREAM_APP_HTTP_{name}PORT", "") for name in ("PROBE_", ""))
chosen = probe_port if probe_port.strip("0") else http_port or "6066"
port = int(sys.argv[1] if sys.argv[1:] else chosen)
worker = HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
try:
    worker.request("GET", "/livez")
    answer = worker.getresponse()
    text = answer.read().decode(errors="replace")
except (OSError, HTTPException) as error:
    sys.exit(f"no answer from {worker.host}:{worker.port}/livez: {error}")
print(text)
sys.exit(answer.status != 200)
