"""Standard streams of a Unix tool: no traceback where nobody reads on, the disk is full, or they are closed."""

import errno
import os
import sys
from typing import Any, TextIO

PIPE_CLOSED = 141
"""As the shell reports a process that SIGPIPE ended."""
_NOT_WRITTEN = 1
_FILES = ((0, os.O_WRONLY), (1, os.O_RDONLY), (2, os.O_WRONLY))
"""What a closed stream is replaced by: reading from 0 and writing to 1 fail, what is written to 2 is gone."""


class PipeClosedExit(SystemExit):
    """The reader of stdout is gone, as after `| head`."""


class _Guarded:
    """A text stream: an error of writing ends the process, or with `is_dropped` is the end of what is written."""

    def __init__(self, stream: TextIO, *, is_dropped: bool) -> None:
        self._stream, self._is_dropped = stream, is_dropped

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError as error:
            return self._failed(error, len(text))

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            self._failed(error, 0)

    def _failed(self, error: OSError, length: int) -> int:
        """From here on nothing is written: what is buffered would fail once more when Python ends."""
        os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())
        if self._is_dropped:
            return length
        if error.errno == errno.EPIPE:
            raise PipeClosedExit(PIPE_CLOSED)
        sys.stderr.write(f"Error: cannot write to the standard output: {error.strerror}\n")
        raise SystemExit(_NOT_WRITTEN)


def guard_streams() -> None:
    """Replace stdout and stderr; characters that they cannot encode become question marks."""
    for descriptor, mode in _FILES:
        _reopen_closed(descriptor, mode)
    sys.stdin = sys.stdin or _opened(0, "r")
    sys.stdout = _guarded(sys.stdout or _opened(1, "w"), is_dropped=False)
    sys.stderr = _guarded(sys.stderr or _opened(2, "w"), is_dropped=True)


def _opened(descriptor: int, mode: str) -> Any:
    return os.fdopen(descriptor, mode, closefd=False, encoding="utf-8")


def _guarded(stream: Any, *, is_dropped: bool) -> Any:
    stream.reconfigure(errors="replace")
    return _Guarded(stream, is_dropped=is_dropped)


def _reopen_closed(descriptor: int, mode: int) -> None:
    """A closed stream's number would go to the next file or socket that is opened, and be written to."""
    try:
        os.fstat(descriptor)
    except OSError:
        opened = os.open(os.devnull, mode)
        if opened != descriptor:
            os.dup2(opened, descriptor)
            os.close(opened)
