"""Records the calls that the real Faust makes to two workers, of which the second joins and leaves.

`python -m tests.tools.rebalance` writes the recording that the simulation is compared with.
"""

import json
import sys
import tempfile
from pathlib import Path

from stream_app.demo.embedded.kafka import embedded_broker
from tests.servers.tracker import ROOT, Worker, tracker, variables
from tests.simulation.callbacks import Callback, canonical
from tests.waiting import eventually

FILE = ROOT / "tests" / "simulation" / "recorded" / "join_and_leave.json"
_WORKER = """
import json, signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
from stream_app.settings import load
from stream_app.worker import run_worker
from tests.simulation.callbacks import noting
with noting(lambda call: print("callback", json.dumps(call), flush=True)):
    sys.exit(run_worker(load(json.loads(sys.argv[1]))))
"""
_WITHIN_S = 40.0


def played(brokers: str, logs: Path) -> dict[str, list[Callback]]:
    """Play it on a real Kafka; the calls of each worker."""
    with tracker(variables(brokers, "recorded", partitions="2"), logs, workers=0) as run:
        first = run.start((sys.executable, "-c", _WORKER))
        _wait(first, owned=2)
        second = run.start((sys.executable, "-c", _WORKER))
        _wait(second, owned=1)
        _wait(first, owned=1)
        second.process.terminate()
        second.process.wait(_WITHIN_S)
        _wait(first, owned=2)
        return canonical({"first": _calls(first), "second": _calls(second)})


def _wait(worker: Worker, owned: int) -> None:
    def is_restored() -> bool:
        calls = _calls(worker)
        return bool(calls) and calls[-1].name == "restored" and len(calls[-1].partitions) == owned

    assert eventually(is_restored, _WITHIN_S), f"{owned} partitions were not restored: {worker.said()}"


def _calls(worker: Worker) -> list[Callback]:
    lines = Path(worker.log.name).read_text(errors="replace").splitlines()
    return [Callback(*json.loads(line.removeprefix("callback "))) for line in lines if line.startswith("callback ")]


def main() -> None:
    """Record it."""
    with embedded_broker() as brokers, tempfile.TemporaryDirectory() as logs:
        calls = played(brokers, Path(logs))
    lines = [
        f'  "{worker}": [\n    ' + ",\n    ".join(map(json.dumps, of_one)) + "\n  ]" for worker, of_one in calls.items()
    ]
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
