"""`stream-app alerts`: run, test and dry-run."""

import logging.config
import signal
import time
from threading import Event

import click

from stream_app.cli.options import Command, TimeOption, settings_options
from stream_app.cli.views.alerts import show_acts, show_outcomes
from stream_app.settings import Settings
from stream_app.terminal.output import reading_bar

_DAY_MS = 86_400_000
_SERVING = ("alerts_http_host", "alerts_http_port", "log_level")
_TOPICS = ("flags_topic", "alerts_topic", "undelivered_topic")
_json_option = click.option("--json", "as_json", is_flag=True, help="print JSON")


@click.group("alerts")
def command() -> None:
    """Tell people and programs of flags, as the alerts file says (STREAM_APP_ALERTS_FILE; see deploy/alerts.yaml)."""


@command.command("run", cls=Command)
@click.option(
    "--from-beginning",
    is_flag=True,
    help="at the very first start: also the flags that are there, if they are not too old",
)
@settings_options("brokers", "app_id", *_TOPICS, "session_timeout_s", "alerts_file", *_SERVING)
def run_command(settings: Settings, from_beginning: bool) -> None:
    """Deliver until it is told to end (Ctrl-C or SIGTERM).

    Of several instances one delivers, and the others stand by. The file is read at the start only.
    """
    stop = Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: stop.set())
    from prometheus_client import CollectorRegistry, ProcessCollector

    from stream_app.alerts.config import load
    from stream_app.alerts.http_server import ProbeServer
    from stream_app.alerts.metrics import AlertMetrics
    from stream_app.alerts.service import AlertService
    from stream_app.alerts.sinks.senders import senders_of
    from stream_app.kafka.clients import quiet_kafka
    from stream_app.kafka.topics import require_for_alerts
    from stream_app.logs import logging_config

    file = load(settings.alerts_file)
    logging.config.dictConfig(logging_config(settings, file.secrets))
    senders = senders_of(file)
    with quiet_kafka():
        require_for_alerts(settings)
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    courier = AlertService(settings, file, senders, AlertMetrics(registry, [*senders]), from_beginning=from_beginning)
    host = settings.alerts_http_host
    probes = ProbeServer(host, settings.alerts_http_port, registry, is_live=courier.is_live, is_ready=courier.is_ready)
    logging.getLogger(__name__).info("serving /metrics, /livez and /readyz on http://%s:%d", host, probes.port)
    try:
        courier.run(stop)
    finally:
        probes.close()


@command.command("test", cls=Command, examples=("stream-app alerts test --sink brand-team",))
@click.option("--sink", "only", metavar="NAME", help="this sink only")
@_json_option
@settings_options("alerts_file")
def test_command(settings: Settings, only: str | None, as_json: bool) -> None:
    """Send a sample flag to every sink of the alerts file, and tell what came back; the file is checked on the way.

    The exit status is 1 where a sink has not taken it.
    """
    from stream_app.alerts.config import load
    from stream_app.alerts.sample_flag import sample
    from stream_app.alerts.sinks.message import DeliveryResult
    from stream_app.alerts.sinks.senders import senders_of

    file = load(settings.alerts_file)
    senders = senders_of(file)
    if only is not None and only not in senders:
        raise click.UsageError(f"{settings.alerts_file} has no sink {only!r}: it has {', '.join(senders)}")
    message = sample(time.time_ns() // 1_000_000)
    outcomes = {name: sender.send(message) for name, sender in senders.items() if only in {None, name}}
    show_outcomes(file, outcomes, as_json=as_json)
    if any(outcome.result is not DeliveryResult.DELIVERED for outcome in outcomes.values()):
        raise SystemExit(1)


@command.command("dry-run", cls=Command, examples=("stream-app alerts dry-run --since 2026-02-27T00:00Z",))
@click.option("--since", "since_ms", type=TimeOption(), metavar="TIME", help="flags raised from then on  [a day ago]")
@_json_option
@settings_options("brokers", "flags_topic", "alerts_file")
def dry_run_command(settings: Settings, since_ms: int | None, as_json: bool) -> None:
    """Show what would have been sent of the flags in Kafka: when, to whom, and what would have been held back and why.

    Nothing is sent. Each flag is looked at as of the time at which it was raised, with nothing known of flags before.
    """
    from stream_app.alerts.config import load
    from stream_app.alerts.dry_run import rehearse
    from stream_app.kafka.clients import quiet_kafka
    from stream_app.ops.flag_history import flags_since

    file = load(settings.alerts_file)
    start_ms = time.time_ns() // 1_000_000 - _DAY_MS if since_ms is None else since_ms
    with quiet_kafka(), reading_bar() as progress:
        flags = flags_since(settings, start_ms, progress)
    show_acts(list(rehearse(file, flags)), flags=len(flags), since_ms=start_ms, as_json=as_json)
