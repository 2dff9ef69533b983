"""Every event edgectl can log, declared once: name, level, fields, meaning, what to do.

A name is noun.verb_past; a field has its unit last. The kernel never logs: it
writes records, and Python turns them into these. The table in docs/events.md is
made from here, and an event or field that is not here is refused.
"""

import logging
import sys
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import structlog


class Level(StrEnum):
    """How loud: names of structlog's methods."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class EventSpec:
    """One kind of event."""

    name: str
    level: Level
    fields: tuple[str, ...]
    meaning: str
    operator_action: str


D, I, W, E = Level.DEBUG, Level.INFO, Level.WARNING, Level.ERROR  # noqa: E741
NOTHING = "None."
SEE_LINK = "Look at the cable, the switch and the device's own display."

SPECS = (
    # site
    EventSpec("site.loaded", I, ("site", "path", "sha256", "devices", "points", "interlocks"),
              "The site file and its profiles were checked and compiled.", NOTHING),
    EventSpec("site.refused", E, ("path", "problems"),
              "The site file was refused; no device was contacted.",
              "Correct the file as the message says; edgectl check SITE repeats the check."),
    # controller
    EventSpec("controller.started", I,
              ("site", "pid", "period_ms", "devices", "points", "interlocks", "rt_grade",
               "bus_rt_grade", "dry_run", "journal_minutes", "segment"),
              "Both real-time threads run; every interlock starts tripped.",
              "Where rt_grade is not FIFO_LOCKED, deadlines are best effort: grant CAP_SYS_NICE "
              "and CAP_IPC_LOCK."),
    EventSpec("controller.armed", I, ("site", "scan", "by"),
              "Set points may be written from here on.", NOTHING),
    EventSpec("controller.arm_refused", W, ("site", "by", "reasons"),
              "A battery's stop is not proven within its budget; the scan goes on "
              "and writes nothing.",
              "Prove it on the plant: edgectl stoptest SITE --device ID. Then start again."),
    EventSpec("controller.disarmed", W, ("site", "scan", "by"),
              "Set points are held at zero; the scan goes on.", "Arm again when work is done."),
    EventSpec("controller.stopped", I,
              ("site", "scans", "overruns", "setpoints_written", "seconds", "cause"),
              "The controller stopped in good order with its outputs in the safe state.", NOTHING),
    EventSpec("controller.safe_state_entered", E, ("site", "scan", "cause", "overruns_in_row"),
              "Everything was asked to zero and no request is heard.",
              "Find the cause, then restart the controller."),
    EventSpec("controller.stalled", E, ("site", "scan", "age_ms"),
              "The watchdog saw no new scan in time.",
              "Devices fall back by themselves; restart the controller and keep the log."),
    EventSpec("controller.failed", E, ("site", "error"),
              "The controller ended by an error.", "Do as the message says and start again."),
    # scan and bus
    EventSpec("scan.overrun", W, ("scan", "period", "skipped", "lateness_us", "exec_us"),
              "A scan ended after the next deadline; whole periods were skipped.",
              "Once is no harm. Look for other load on the processor if it repeats."),
    EventSpec("bus.turn_exceeded", W, ("link", "device", "scan", "poll_ms", "bound_ms"),
              "A read took longer from its due mark to its reply than the schedule allows for; "
              "said once a link.",
              "Its values may turn stale. Raise reply_ms to what edgectl watch shows, and see what "
              "edgectl check says then; look for other load on the processor."),
    EventSpec("line.port_opened", I, ("line", "port", "baud"),
              "The serial port is open; the devices on the line are asked who they are.", NOTHING),
    EventSpec("line.port_failed", W, ("line", "port", "error"),
              "The serial port cannot be opened; it is tried again five times a second.",
              "Check that the adapter is plugged in and that no other program has the port."),
    EventSpec("device.connected", I, ("device", "address", "scan", "connects"),
              "The device answers and its identity is proved.", NOTHING),
    EventSpec("device.lost", W, ("device", "address", "scan", "age_ms", "timeouts"),
              "No good reply in time; its points are bad and counted at their worst.", SEE_LINK),
    EventSpec("device.identity_refused", E, ("device", "address", "profile", "scan"),
              "The device is not what its profile says; nothing will be written to it.",
              "Check address, unit and model; then the profile's [[identity]]."),
    EventSpec("device.write_failed", W, ("device", "scan", "failures", "exceptions"),
              "A set point was refused, timed out or cut off; it is not repeated blindly.",
              "See whether the device is in remote mode."),
    EventSpec("point.quality_changed", D,
              ("point", "scan", "quality", "reason", "value", "unit", "age_ms"),
              "A value became better or worse.", NOTHING),
    EventSpec("readback.mismatched", W, ("storage", "scan", "setpoint_w", "readback_error_w"),
              "The device does not hold what was written to it.",
              "See whether another master writes to this device."),
    # interlock
    EventSpec("interlock.tripped", W,
              ("interlock", "title", "priority", "scan", "first_out", "group", "tag", "value",
               "limit", "unit", "quality", "effect"),
              "A row of the cause-and-effect table acts.", "See the row's why and its proof test."),
    EventSpec("interlock.cleared", I, ("interlock", "title", "scan"),
              "The row's cause is gone and it no longer acts.", NOTHING),
    EventSpec("interlock.latched", I, ("interlock", "title", "scan", "reset"),
              "The cause is gone; the row waits for its reset or its off-delay.",
              "Find out why it tripped, then reset it."),
    EventSpec("interlock.reset", I, ("interlock", "title", "scan", "by"),
              "A latched row was reset.", NOTHING),
    EventSpec("interlock.locked_out", W, ("interlock", "title", "scan", "trips"),
              "Too many trips in the window: it now waits for an operator.",
              "Find the repeating cause before resetting."),
    # dispatch
    EventSpec("request.taken", D, ("kind", "target", "value", "scan", "expiry_s"),
              "The kernel took a request out of the mailbox.", NOTHING),
    EventSpec("request.rejected", W, ("storage", "target", "kind", "scan", "value_w", "count"),
              "A request was not finite, out of range, lapsed or torn; the last safe one holds.",
              "Look at who sent it."),
    EventSpec("dispatch.limited", I, ("storage", "scan", "request_w", "setpoint_w", "binding"),
              "Something bit between request and set point; binding says what.", NOTHING),
    EventSpec("dispatch.shed_requested", I, ("scan", "shed_w", "load_w", "import_cap_w"),
              "Flexible load is asked to defer: the battery cannot hold the cap alone.", NOTHING),
    EventSpec("carbon.default_used", W, ("scan", "default_g_per_kwh"),
              "The carbon feed is lost; the zone's higher default is booked and flagged.",
              "Restore the feed."),
    EventSpec("carbon.feed_restored", I, ("scan", "g_per_kwh"),
              "Grid carbon comes from the feed again.", NOTHING),
    EventSpec("carbon.feed_failed", W, ("path", "error"),
              "The carbon feed could not be read or had no value for now.", "Restore the feed."),
    EventSpec("carbon.factor_used", I,
              ("source", "version", "g_per_kwh", "valid_from_ns", "valid_to_ns", "published_ns",
               "estimated", "answer_sha256"),
              "Another published factor is booked from now on.", NOTHING),
    EventSpec("carbon.factor_held", W, ("source", "g_per_kwh", "age_s"),
              "The newest factor's time is over; it is held for at most an hour.",
              "Bring the feed up to date."),
    EventSpec("balance.broken", E, ("scan", "balance_error_mj", "balance_error_ug"),
              "Sums of parts did not equal totals: a defect in edgectl.",
              "Keep the journal and report it."),
    # services
    EventSpec("services.started", I, ("pid", "site", "restarts"),
              "The services process runs.", NOTHING),
    EventSpec("services.exited", W, ("pid", "status", "restart_in_s"),
              "The services process ended; the controller goes on without it.",
              "None once; see its last message if it repeats."),
    EventSpec("services.restarted", I, ("pid", "restarts"),
              "The services process was started again and catches up.", NOTHING),
    EventSpec("services.failed", E, ("error",),
              "The services cannot go on; their supervisor starts them again.",
              "Do as the message says."),
    EventSpec("services.stopped", I, ("site", "seconds"),
              "The services stopped when asked.", NOTHING),
    EventSpec("segment.attached", I, ("site", "segment", "controller_pid", "boot_id", "next_seq"),
              "The services read this run of the controller.", NOTHING),
    EventSpec("segment.awaited", I, ("site", "segment", "problem"),
              "There is no running controller to read yet.", "Start it: edgectl run SITE."),
    EventSpec("segment.ended", I, ("site", "controller_pid"),
              "The controller stopped in good order; the services wait for the next.", NOTHING),
    EventSpec("segment.lost", W, ("site", "controller_pid"),
              "The controller is gone without a word; the services wait for the next.",
              "See the controller's last messages and why it ended."),
    # ledger
    EventSpec("ledger.opened", I, ("path", "records", "next_seq"),
              "The ledger goes on where its cursor stands.", NOTHING),
    EventSpec("ledger.gap_found", E, ("boot_id", "first_seq", "scans_lost", "utc_s"),
              "Records were overwritten before the ledger could take them; the gap is booked.",
              "Find out why the services were away longer than the journal is deep."),
    EventSpec("ledger.write_failed", E, ("path", "error", "behind_scans"),
              "The ledger cannot be written; the journal keeps its records meanwhile.",
              "Free space or repair the disk before the journal's minutes are over."),
    EventSpec("ledger.write_restored", I, ("path", "behind_scans"),
              "The ledger is written again.", NOTHING),
    # mqtt
    EventSpec("mqtt.connected", I, ("host", "port", "protocol", "topics"),
              "The broker accepted us.", NOTHING),
    EventSpec("mqtt.disconnected", W, ("host", "port", "reason"),
              "The broker is gone; it is tried again every 1 to 30 s. The ledger goes on.",
              "See whether the broker runs."),
    EventSpec("mqtt.unreachable", W, ("host", "port", "error"),
              "The broker does not answer; said once, tried on.", "See whether the broker runs."),
    EventSpec("mqtt.refused", E, ("host", "port", "reason"),
              "The broker answers and refuses us.", "Check user, certificate and access list."),
    EventSpec("mqtt.fell_back", I, ("host", "port", "protocol"),
              "The broker knows no MQTT 5: 3.1.1 is spoken, without expiry and properties.",
              NOTHING),
    EventSpec("mqtt.dropped", W, ("topic", "messages"),
              "Messages were dropped because the queue to the broker is full.",
              "None: the ledger has every record."),
    EventSpec("broker.started", I, ("kind", "port", "pid", "protocol"),
              "The demo's own broker runs on loopback.", NOTHING),
    # plant
    EventSpec("plant.started", I, ("site", "devices", "source"),
              "The simulated devices listen on loopback.", NOTHING),
    EventSpec("plant.stopped", I, ("site", "requests"),
              "The simulated devices are gone.", NOTHING),
    EventSpec("plant.fault_injected", W, ("device", "fault", "seconds"),
              "The simulation misbehaves on purpose.", NOTHING),
    EventSpec("plant.failed", E, ("device", "error"),
              "A simulated device ended by an error.", "Do as the message says."),
)  # fmt: skip

EVENTS = {spec.name: spec for spec in SPECS}


def emit(log: Any, name: str, **fields: Any) -> None:
    """Log one declared event.

    log      a structlog logger
    name     of a declared event
    fields   some or all of its declared fields

    Raises ValueError for a name or a field that is not declared: a defect.
    """
    spec = EVENTS.get(name)
    if spec is None:
        raise ValueError(f"event {name!r} is not declared in edgectl/events.py")
    unknown = fields.keys() - set(spec.fields)
    if unknown:
        raise ValueError(f"event {name!r} declares no field {', '.join(sorted(unknown))}")
    getattr(log, spec.level)(name, **fields)


def configure_logging(*, log_json: bool = False, level: Level = Level.INFO) -> None:
    """Send events to standard error.

    log_json   one JSON object a line, for machines; else columns for people
    level      the least that is shown
    """
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if log_json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[level.upper()]
        ),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )


def markdown_table() -> str:
    """The events as the table of docs/events.md."""
    rows = [
        f"| `{spec.name}` | {spec.level} | {', '.join(f'`{field}`' for field in spec.fields)} "
        f"| {spec.meaning} | {spec.operator_action} |"
        for spec in SPECS
    ]
    head = ["| event | level | fields | meaning | operator action |", "|---|---|---|---|---|"]
    return "\n".join(head + rows) + "\n"
