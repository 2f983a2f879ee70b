"""The Dockerfile as its instructions, by stage."""

import json
import re
import shlex
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[3]
DOCKERFILE = ROOT / "deploy" / "docker" / "Dockerfile"
IGNORED = DOCKERFILE.with_name("Dockerfile.dockerignore")


class Instruction(NamedTuple):
    """One instruction, on one line."""

    word: str
    text: str


class Copy(NamedTuple):
    """What a COPY copies: from another stage, or from the repository where `stage` is empty."""

    stage: str
    sources: list[str]
    target: str


class Stage(NamedTuple):
    """What stands between two FROM."""

    name: str
    base: str
    instructions: list[Instruction]

    def texts(self, word: str) -> list[str]:
        """What follows each instruction of that name."""
        return [each.text for each in self.instructions if each.word == word]

    def command(self, word: str) -> list[str]:
        """The words of the only ENTRYPOINT, CMD or HEALTHCHECK."""
        (text,) = self.texts(word)
        words: list[str] = json.loads(text[text.index("[") :])
        return words

    def pairs(self, word: str) -> dict[str, str]:
        """The names and values of all ENV or LABEL."""
        return {
            name: value for text in self.texts(word) for name, _, value in (p.partition("=") for p in shlex.split(text))
        }

    def copies(self) -> list[Copy]:
        """All COPY."""
        return [copy_of(text) for text in self.texts("COPY")]


def stages() -> list[Stage]:
    """The stages of the Dockerfile, in their order."""
    lines = [line for line in DOCKERFILE.read_text().splitlines() if not line.lstrip().startswith("#")]
    found: list[Stage] = []
    for line in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines():
        word, _, text = line.partition(" ")
        if word == "FROM":
            base, _, name = text.partition(" AS ")
            found.append(Stage(name, base, []))
        elif word:
            found[-1].instructions.append(Instruction(word, text.strip()))
    return found


def copy_of(text: str) -> Copy:
    """A COPY taken apart."""
    words = text.split()
    stage = words.pop(0).removeprefix("--from=") if words[0].startswith("--from=") else ""
    return Copy(stage, words[:-1], words[-1])
