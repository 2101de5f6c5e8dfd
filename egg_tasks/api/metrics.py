"""What Prometheus is told of the rows: counted when it asks, so that every API process says the same."""

from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy.orm import Session

from models.queries import halts, repairs, reports
from models.states import LIVE_RUNS


class _Rows(Collector):
    def __init__(self, session: Session) -> None:
        self._session = session

    def collect(self) -> Iterator[Metric]:
        session = self._session
        runs = reports.count_agent_runs(session)
        live = sum(runs.get(str(status), 0) for status in LIVE_RUNS)
        yield _by_status("egg_pipelines", "Pipelines by status.", reports.count_pipelines(session))
        yield _by_status("egg_agent_runs", "Agent runs by status.", runs)
        yield GaugeMetricFamily("egg_agents_live", "Agent runs that are live.", value=live)
        waiting = reports.count_pending_decisions(session)
        yield GaugeMetricFamily("egg_decisions_pending", "Questions that wait for a person.", value=waiting)
        halted = int(halts.find_standing_halt(session) is not None)
        yield GaugeMetricFamily("egg_halted", "1 while all is stopped.", value=halted)
        messages = reports.count_messages(session)
        yield CounterMetricFamily("egg_messages", "Messages sent.", value=messages)
        yield CounterMetricFamily("egg_events", "Events recorded.", value=reports.count_events(session))
        what = "What the reconciler found waiting and sent on its way again."
        repaired = CounterMetricFamily("egg_repairs", what, labels=["kind"])
        for kind, number in sorted(repairs.count_repairs(session).items()):
            repaired.add_metric([kind], number)
        yield repaired


def measured(session: Session) -> CollectorRegistry:
    """A registry that reads the rows while it is written out."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Rows(session))
    return registry


def _by_status(name: str, text: str, counts: Mapping[str, int]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=["status"])
    for status, number in sorted(counts.items()):
        family.add_metric([status], number)
    return family
