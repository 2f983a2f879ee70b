"""The image without Docker: runs the commands of the Dockerfile, and starts the result with as few rights."""

import os
import shutil
import signal
import subprocess
import sys
import venv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

import pytest

from stream_app.demo.embedded.process import spawn
from tests.unit.deploy.dockerfile import ROOT, Stage, copy_of, stages

USER = "10001"
TMP = ("/tmp",)  # noqa: S108 - the one in the sandbox
_BUILD_S = 280
_END_S = 15.0
_SYSTEM = ("/bin", "/lib", "/lib64", "/sbin", "/usr", "/etc")


class Image:
    """The folder /opt of the image; the system and Python around it are those of this machine."""

    def __init__(self, folder: Path) -> None:
        """Build it in `folder`. Skips the test where bubblewrap is missing or may not make a sandbox."""
        self._bwrap = _bubblewrap()
        self._opt = folder / "opt"
        self._python = folder / "python"  # stands for the Python of the base image, in which pip installs flit
        venv.create(self._python, with_pip=True)
        build, final = stages()[1:]
        self._build(build)
        self._finish(build, final)
        self.environment = {"PATH": "/opt/stream-app/bin:/usr/bin:/bin", **_without_path(final.pairs("ENV"))}
        self.entrypoint, self.command = final.command("ENTRYPOINT"), final.command("CMD")
        self.healthcheck = final.command("HEALTHCHECK")

    def start(self, variables: Mapping[str, str], log: IO[bytes]) -> "Container":
        """Run what it is for, with these variables."""
        words = [*self.entrypoint, *self.command]
        return Container(spawn(self._sandbox(variables, words, TMP, "--unshare-pid", "--as-pid-1"), log))

    def run(
        self, variables: Mapping[str, str], words: Sequence[str], *, writable: Sequence[str] = TMP
    ) -> subprocess.CompletedProcess[str]:
        """Run any command in it to its end; `writable`: the folders that are empty and can be written."""
        sandbox = self._sandbox(variables, words, writable)
        return subprocess.run(sandbox, capture_output=True, text=True, timeout=60, check=False)

    def _sandbox(
        self, variables: Mapping[str, str], words: Sequence[str], writable: Sequence[str], *options: str
    ) -> list[str]:
        """A command in a read-only file system, as a user with no rights at all."""
        environment = {**self.environment, **variables}
        return [
            *self._bare(dict.fromkeys(writable, ""), environment),
            *("--ro-bind", str(self._opt / "stream-app"), "/opt/stream-app"),
            *("--remount-ro", "/", "--chdir", "/", *options),
            *_as_nobody(),
            *words,
        ]

    def _build(self, stage: Stage) -> None:
        # Packages that were fetched already are not fetched again.
        variables = {**_without_path(stage.pairs("ENV")), "PIP_NO_CACHE_DIR": "0", "PIP_CACHE_DIR": "/cache"}
        machine = {name: text for name, text in os.environ.items() if name.startswith(("PIP_", "SSL_", "REQUESTS_"))}
        environment = {"PATH": f"{self._python}/bin:/usr/bin:/bin", **machine, **variables}
        binds = {"/opt": str(self._opt), str(self._python): str(self._python), "/cache": str(_pip_cache())}
        workdir = "/"
        self._opt.mkdir()
        for word, text in stage.instructions:
            if word == "WORKDIR":
                workdir = text
                self._outside(text).mkdir()
            elif word == "COPY":
                copy = copy_of(text)
                for source in copy.sources:
                    self._copy(ROOT / source, f"{workdir}/{copy.target}")
            elif word == "RUN":
                done = subprocess.run(
                    [
                        *self._bare({**dict.fromkeys(TMP, ""), **binds}, environment),
                        "--chdir",
                        workdir,
                        "/bin/sh",
                        "-c",
                        text,
                    ],
                    capture_output=True,
                    text=True,
                    timeout=_BUILD_S,
                    check=False,
                )
                assert not done.returncode, f"RUN {text}\n{done.stdout}{done.stderr}"

    def _finish(self, build: Stage, final: Stage) -> None:
        for copy in final.copies():
            for source in copy.sources:
                if not copy.stage:
                    self._copy(ROOT / source, copy.target)
                    continue
                assert (copy.stage, source) == (build.name, copy.target), "it is moved from where it was built"

    def _outside(self, path: str) -> Path:
        """Where a path of the image is on this machine."""
        return self._opt / Path(path).relative_to("/opt")

    def _copy(self, source: Path, target: str) -> None:
        """As Docker does: a folder's content, or a file, into a folder where the target ends with a slash."""
        place = self._outside(target)
        if source.is_dir():
            shutil.copytree(source, place, ignore=shutil.ignore_patterns("__pycache__"))
            return
        if target.endswith(("/", "/.")):
            place /= source.name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, place)

    def _bare(self, mounts: Mapping[str, str], environment: Mapping[str, str]) -> list[str]:
        """A sandbox with the system, Python, and folders that can be written: empty ones where nothing is named."""
        words = [self._bwrap, "--die-with-parent", "--clearenv", "--proc", "/proc", "--dev", "/dev"]
        for path in (*reversed(Path(sys.base_prefix).parents), Path("/opt")):
            words += ["--perms", "0755", "--dir", str(path)]  # bubblewrap's own are for one user only
        for path in map(Path, _SYSTEM):
            if path.is_symlink():
                words += ["--symlink", str(path.readlink()), str(path)]
            elif path.exists():
                words += ["--ro-bind", str(path), str(path)]
        words += ["--ro-bind", sys.base_prefix, sys.base_prefix]
        for target, source in mounts.items():
            words += ["--bind", source, target] if source else ["--perms", "1777", "--tmpfs", target]
        for name, text in environment.items():
            words += ["--setenv", name, text]
        return words


class Container:
    """A running image; it ends with the test process at the latest."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process

    def stop(self) -> int:
        """SIGTERM to its first process, as Docker and Kubernetes do; returns the exit status."""
        os.kill(self._first(), signal.SIGTERM)
        return self.process.wait(_END_S)

    def files(self) -> set[str]:
        """All files in the folders that can be written."""
        places = [Path(f"/proc/{self._first()}/root{place}") for place in TMP]
        return {str(path) for place in places for path in place.rglob("*") if not path.is_dir()}

    def _first(self) -> int:
        (first,) = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return int(first)

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.wait(_END_S)


def _bubblewrap() -> str:
    bwrap = shutil.which("bwrap")
    if bwrap is None:
        pytest.skip("needs system package: bubblewrap (it shows a process a read-only file system)")
    nothing = [bwrap, "--ro-bind", "/", "/", "true"]
    tried = subprocess.run(nothing, capture_output=True, text=True, timeout=10, check=False)
    if tried.returncode:
        pytest.skip(f"no sandbox is allowed here: {tried.stderr}")
    return bwrap


def _as_nobody() -> list[str]:
    """The user of the image: really where we are root, else at least by its number."""
    if os.geteuid():
        return ["--unshare-user", "--uid", USER, "--gid", USER]
    rights = ("--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID")
    return [*rights, "/usr/bin/setpriv", "--reuid", USER, "--regid", USER, "--clear-groups", "--no-new-privs"]


def _without_path(variables: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in variables.items() if name != "PATH"}


def _pip_cache() -> Path:
    asked = [sys.executable, "-m", "pip", "cache", "dir"]
    answer = subprocess.run(asked, capture_output=True, text=True, timeout=30, check=True)
    cache = Path(answer.stdout.strip())
    cache.mkdir(parents=True, exist_ok=True)
    return cache
