"""Writes the dashboards: `python -m deploy.grafana`, after any change to how they are made."""

import json
from collections.abc import Iterator
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from deploy.grafana import influence, pipeline

FOLDER = Path(__file__).parent / "dashboards"


def made() -> Iterator[tuple[Path, str]]:
    """Where each dashboard belongs, and its JSON."""
    for name, module in (("influence", influence), ("pipeline", pipeline)):
        board = json.loads(json.dumps(module.build().build(), cls=JSONEncoder))
        for number, panel in enumerate(board["panels"], 1):
            panel["id"] = number
        for item in (*board["links"], *board.get("annotations", {}).get("list", ())):
            del item["placement"]  # the SDK puts all of them into a menu; they are to be seen
        text = json.dumps(board, indent=2, ensure_ascii=False, sort_keys=True)
        yield FOLDER / f"{name}.json", f"{text}\n"


if __name__ == "__main__":
    for path, text in made():
        path.write_text(text, encoding="utf-8")
