"""A process that may open few files, and a thousand half-open connections: probes are answered."""

import http.client
import resource
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
FILES = 256
PROGRAM = """
import asyncio, resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, ({files}, {files}))
from tests.unit.serving.http.served import serving

async def main():
    async with serving() as served:
        print(served.port, flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)

asyncio.run(main())
"""


@pytest.mark.timeout(90)
def test_a_thousand_half_open_connections_and_few_files_leave_probes_alive() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2000:
        pytest.skip("needs 2,000 open files itself")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2000), hard))
    command = [sys.executable, "-c", PROGRAM.format(files=FILES)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        try:
            port = int(process.stdout.readline())
            with ExitStack() as stack:
                for _ in range(1000):
                    half = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
                    half.sendall(b"GET /api")
                for _ in range(5):
                    started = time.monotonic()
                    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
                        connection.request("GET", "/livez")
                        assert connection.getresponse().status == 200
                    assert time.monotonic() - started < 2
        finally:
            process.stdin.close()
            process.wait(20)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert process.returncode == 0
