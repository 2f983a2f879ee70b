"""The curve reader: statuses and curves of all partitions, from the records of the curves topic as they come."""

from stream_app.core.changelog import status
from stream_app.core.changelog.columns import FormatError
from stream_app.core.changelog.status import Status
from stream_app.core.cuts import curve_message
from stream_app.core.cuts.curve_message import CurveMessage
from stream_app.core.cuts.curve_parts import CurveParts
from stream_app.core.cuts.global_cuts import GlobalCuts


class CurveReader:
    """Takes what the newest owner of each partition has published; workers and commands read alike."""

    def __init__(self, cuts: GlobalCuts, partitions: int) -> None:
        """`cuts` gets the curves."""
        self._cuts = cuts
        self._partitions = partitions
        self._parts = CurveParts()
        self._epochs: dict[int, int] = {}
        """By partition: the epoch of its newest owner."""
        self.statuses: dict[int, Status] = {}
        self.overwritten: set[int] = set()
        """Partitions whose former owner published after the current one. The current one must publish again."""

    def begin_again(self) -> None:
        """Be prepared for the topic from its beginning, older epochs first."""
        self._epochs.clear()

    def take(self, key: bytes, value: bytes | None) -> None:
        """Take up a record, if it is a status or curves. Raises FormatError where no worker can have written it."""
        match key.partition(b"/")[0]:
            case b"curves" if value:  # without, a part that its bucket does not have any more
                message = curve_message.decode(value)
                if self._is_of_owner(message) and (bucket := self._parts.together(message)):
                    self._cuts.update(bucket)
            case b"status" if value is not None:
                known = status.decode(value)
                if self._is_of_owner(known):
                    self.statuses[known.partition] = known

    def _is_of_owner(self, message: CurveMessage | Status) -> bool:
        """Return whether the current owner of the partition published it, not a former owner that writes late."""
        if message.partition >= self._partitions:
            raise FormatError(f"there is no partition {message.partition}")
        if message.epoch < self._epochs.get(message.partition, 0):
            self.overwritten.add(message.partition)
            return False
        self._epochs[message.partition] = message.epoch
        return True
