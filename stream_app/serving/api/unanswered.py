"""Why a query has no answer."""

UNKNOWN = "nobody of that id has a value there in the window; ids differ by case"


class UnknownUserError(LookupError):
    """Nobody in the window is called so; the message says where that was looked for."""


class UnavailableError(RuntimeError):
    """There is no answer at the moment; the message says what is waited for."""
