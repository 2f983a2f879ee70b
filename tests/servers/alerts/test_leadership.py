"""Leadership on real Kafka: who joins the group leads, however its polls fall."""

from contextlib import closing

from stream_app.alerts.leadership import Leadership
from stream_app.kafka.topics import create
from stream_app.settings import load
from stream_app.until import until
from tests.servers.brokers import BOTH_BROKERS
from tests.servers.tracker import variables

SOON_S = 20.0


@BOTH_BROKERS
def test_an_instance_leads_although_the_group_answers_between_its_polls(brokers: str) -> None:
    for number in range(2):  # with polls this short, most had waited for ever
        settings = load(variables(brokers, f"alerts-leadership-{number}", partitions="1"))
        create(settings)
        with closing(Leadership(settings)) as leadership:

            def leads(leadership: Leadership = leadership) -> bool:
                leadership.poll(1)
                return leadership.can_lead()

            assert until(leads, SOON_S, every_s=0)
