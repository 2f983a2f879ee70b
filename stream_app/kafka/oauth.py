"""OAuth tokens for the two Kafka clients: read from their file for every connection."""

from aiokafka.abc import AbstractTokenProvider as AiokafkaProvider
from kafka.net.sasl.oauth import AbstractTokenProvider as KafkaPythonProvider

from stream_app.kafka.clients import read_token
from stream_app.settings import Settings, SettingsError


class ForAiokafka(AiokafkaProvider):  # type: ignore[misc]  # aiokafka has no types
    """For aiokafka and Faust."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def token(self) -> str:
        """The present token; the file is small and local. Raises OSError, after which aiokafka tries again."""
        try:
            return read_token(self._settings)
        except SettingsError as error:
            raise OSError(str(error)) from error


class ForKafkaPython(KafkaPythonProvider):  # type: ignore[misc]  # kafka-python has no types
    """For kafka-python."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._settings = settings

    def token(self) -> str:
        """The present token."""
        return read_token(self._settings)
