"""The table of docs/reliability.md, from what `make prove` wrote: `python -m tests.proof.markdown proof.json`."""

import json
import sys
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from tests.proof.report import Proof

KAFKAS = ("apache", "embedded")


def table(proofs: Sequence[Proof]) -> Iterator[str]:
    """The lines, a row for each promise: what was measured on which Kafka."""
    yield "| fault | Apache Kafka | embedded Kafka |"
    yield "| --- | --- | --- |"
    for (row, promise), found in groupby(proofs, key=lambda proof: (proof.row, proof.promise)):
        by_kafka = {proof.kafka: proof for proof in found}
        cells = [_cell(by_kafka.get(kafka) or by_kafka.get("")) for kafka in KAFKAS]
        yield f"| {row}: {promise} | {' | '.join(cells)} |"


def _cell(proof: Proof | None) -> str:
    if proof is None:
        return "–"
    return f"**broken**: {proof.summary}" if proof.kept is False else proof.summary


if __name__ == "__main__":
    written = json.loads(Path(sys.argv[1]).read_text())
    everything = sorted(
        (Proof(**promise) for promise in written["promises"]), key=lambda proof: (proof.row, proof.promise)
    )
    sys.stdout.write("\n".join(table(everything)) + "\n")
