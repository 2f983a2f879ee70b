"""`stream-app alerts`: run, test and dry-run."""

import logging
import signal
import time
from threading import Event

import click

from stream_app.cli.options import Command, TimeOption, settings_options
from stream_app.cli.views.alerts import show_outcomes, show_steps
from stream_app.settings import Settings
from stream_app.settings.hosts import host_port
from stream_app.terminal.output import reading_bar

_DAY_MS = 86_400_000
_SERVING = ("alerts_http_host", "alerts_http_port", "log_level", "log_format", "otlp_url", "otlp_every_s")
_TOPICS = ("flags_topic", "alerts_topic", "undelivered_topic")
_json_option = click.option("--json", "as_json", is_flag=True, help="print JSON")


@click.group("alerts")
def command() -> None:
    """Send flags to people and programs, by the rules of a file (STREAM_APP_ALERTS_FILE; see deploy/alerts.yaml)."""


@command.command("run", cls=Command)
@click.option(
    "--from-beginning",
    is_flag=True,
    help="at the very first start: also send the flags that are in Kafka already, unless they are too old",
)
@settings_options("brokers", "app_id", *_TOPICS, "session_timeout_s", "alerts_file", *_SERVING)
def run_command(settings: Settings, from_beginning: bool) -> None:
    """Deliver until Ctrl-C or SIGTERM.

    Of several instances one delivers, and the others stand by. The alerts file is read at the start only.
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
    from stream_app.logs import start_logging
    from stream_app.logs.verbosity import Verbosity
    from stream_app.otlp import require_otlp, start_otlp

    require_otlp(settings)
    file = load(settings.alerts_file)
    start_logging(settings, file.secrets)
    Verbosity(settings.log_level).listen()
    senders = senders_of(file)
    with quiet_kafka():
        require_for_alerts(settings)
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    metrics = AlertMetrics(registry, [*senders])
    service = AlertService(settings, file, senders, metrics, from_beginning=from_beginning)
    start_otlp(settings, registry, "stream-app-alerts")
    host = settings.alerts_http_host
    is_live, is_ready = service.is_live, service.is_ready
    probes = ProbeServer(
        host, settings.alerts_http_port, registry, is_live=is_live, is_ready=is_ready, bound_hit=metrics.bound_hit
    )
    logging.getLogger(__name__).info("serving /metrics, /livez and /readyz on http://%s", host_port(host, probes.port))
    try:
        service.run(stop)
    finally:
        probes.close()


@command.command("test", cls=Command, examples=("stream-app alerts test --sink brand-team",))
@click.option("--sink", "only", metavar="NAME", help="this sink only")
@_json_option
@settings_options("alerts_file")
def test_command(settings: Settings, only: str | None, as_json: bool) -> None:
    """Check the alerts file, send a sample flag to every sink, and print the outcomes.

    The exit status is 1 if a sink has not accepted the sample.
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
    """Show which flags in Kafka would have been sent, when and to which sinks, and which would have been held back.

    Sends nothing. Applies the rules at the time at which each flag was raised, without knowing of earlier flags.
    """
    from stream_app.alerts.config import load
    from stream_app.alerts.dry_run import dry_run
    from stream_app.kafka.clients import quiet_kafka
    from stream_app.ops.flag_history import flags_since

    file = load(settings.alerts_file)
    start_ms = time.time_ns() // 1_000_000 - _DAY_MS if since_ms is None else since_ms
    with quiet_kafka(), reading_bar() as progress:
        flags = flags_since(settings, start_ms, progress)
    show_steps(list(dry_run(file, flags)), flags=len(flags), since_ms=start_ms, as_json=as_json)
