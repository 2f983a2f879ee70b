"""`stream-app worker`."""

import signal
from types import FrameType

import click

from stream_app.cli.options import ALL, Command, settings_options
from stream_app.settings import Settings


@click.command("worker", cls=Command)
@settings_options(*ALL)
def command(settings: Settings) -> None:
    """Run one worker until Ctrl-C or SIGTERM.

    Start as many as you like, on any machine: they share the partitions of the input topics, and take over from a
    worker that ends. The topics must exist (`stream-app topics create`). Every option is also an environment variable.
    With --production true it does not start where the startup audit finds a danger; otherwise it warns.
    """
    signal.signal(signal.SIGTERM, _exit)  # until Faust installs its handlers
    from stream_app.engine.liveness.memory import keep_little

    keep_little()
    from stream_app.kafka.clients import quiet_kafka
    from stream_app.kafka.topics import require
    from stream_app.ops.audit.permissions import require_group
    from stream_app.ops.audit.startup import require_safe
    from stream_app.serving.http.server import require_free
    from stream_app.terminal.output import echo
    from stream_app.worker import run_worker

    # Before Faust starts an error is one line; from within its start it is a traceback of fifty.
    require_free(settings.http_host, settings.http_port)
    with quiet_kafka():
        require(settings)
        require_group(settings)
        found = require_safe(settings)
    for finding in found:
        echo(f"Warning: {finding}", fg="yellow", err=True)
    raise SystemExit(run_worker(settings))


def _exit(_signum: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)
