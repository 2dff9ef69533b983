"""The native topic tree."""

from dataclasses import dataclass

VERSION = "v1"


@dataclass(frozen=True, slots=True)
class Topics:
    """Topics of one node of one site: edgectl/v1/<site>/<node>/..."""

    site: str
    node: str

    def __post_init__(self) -> None:
        for name in (self.site, self.node):
            if not name or set(name) & set("/+#$\0 "):
                raise ValueError(f"{name!r} cannot be a level of an MQTT topic")

    def _topic(self, leaf: str) -> str:
        return f"edgectl/{VERSION}/{self.site}/{self.node}/{leaf}"

    @property
    def state(self) -> str:
        """Retained JSON, 1 Hz: all a person wants to know."""
        return self._topic("state")

    @property
    def birth(self) -> str:
        """Retained JSON: which tables and profiles run here."""
        return self._topic("birth")

    @property
    def fast(self) -> str:
        """Msgpack, one message a scan, QoS 0."""
        return self._topic("fast")

    @property
    def event(self) -> str:
        """JSON, QoS 1: what happened."""
        return self._topic("event")

    @property
    def alarm_summary(self) -> str:
        """Retained JSON: alarms by state and priority, the newest, whether there is a flood."""
        return self._topic("alarm/summary")

    @property
    def alarm_command(self) -> str:
        """JSON, the one topic that is listened to: acknowledge, shelve and so on."""
        return self._topic("alarm/cmd")

    @property
    def alarm_reply(self) -> str:
        """JSON, QoS 1: what became of each request."""
        return self._topic("alarm/reply")

    def alarm_state(self, alarm_id: str) -> str:
        """Retained JSON: one alarm."""
        return self._topic(f"alarm/{alarm_id}/state")

    @property
    def status(self) -> str:
        """Retained JSON: online or not; the last will."""
        return self._topic("status")

    @property
    def ledger(self) -> str:
        """Retained JSON, QoS 1: the newest signed head of the ledger."""
        return self._topic("ledger")

    @property
    def counters(self) -> str:
        """What is subscribed: counts of compute, from whoever runs it."""
        return f"edgectl/{self.site}/counter/+/+"
