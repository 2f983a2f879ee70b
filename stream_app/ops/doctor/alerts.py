"""Check of the alerts file: whether it can be read, and whether every sink in it is used. Sends nothing."""

from collections.abc import Iterator

from stream_app.alerts.config import AlertsFile, AlertsFileError, load
from stream_app.alerts.sinks.senders import senders_of
from stream_app.extras import MissingExtraError
from stream_app.findings import Finding, ok, problem, warning
from stream_app.settings import Settings


def alerts(settings: Settings) -> Iterator[Finding]:
    """The file that the settings name."""
    path = settings.alerts_file
    if not path:
        yield ok("alerts", "STREAM_APP_ALERTS_FILE is empty: no alerts are sent from here")
        return
    try:
        file = load(path)
        senders_of(file)
    except MissingExtraError as error:
        yield problem("alerts", str(error), error.command)
        return
    except AlertsFileError as error:
        yield problem("alerts", str(error), f"correct {path}: until then no `stream-app alerts` command starts with it")
        return
    rules = ", ".join(rule.name for rule in file.rules)
    yield ok("alerts", f"{path} can be read; sinks: {', '.join(file.sinks)}; rules: {rules}")
    if unused := _unused(file):
        advice = "name them in a rule, or take them out"
        yield warning("alerts", f"no rule of {path} names {', '.join(unused)}", advice)


def _unused(file: AlertsFile) -> list[str]:
    """Sinks that nothing is ever sent to."""
    named = {sink for rule in file.rules for sink in rule.sinks}
    return [name for name in file.sinks if name not in named]
