"""Optional dependencies: what a command needs beyond a worker's packages, and how to install it."""

from importlib.util import find_spec


class MissingExtraError(RuntimeError):
    """An optional package is not installed; the message holds the command that installs it."""

    def __init__(self, package: str, extra: str) -> None:
        self.command = f"pip install 'stream-app[{extra}]'"
        super().__init__(f"{package} is not installed: {self.command}")


def require_extra(extra: str, package: str, module: str) -> None:
    """Return when `module` of `package` can be imported. Raises MissingExtraError."""
    if find_spec(module) is None:
        raise MissingExtraError(package, extra)
