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


I, W, E = Level.INFO, Level.WARNING, Level.ERROR  # noqa: E741
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
    EventSpec("controller.armed", I, ("site", "scan"),
              "Set points may be written from here on.", NOTHING),
    EventSpec("controller.arm_refused", W, ("site", "by", "reasons"),
              "A battery's stop is not proven within its budget; the scan goes on "
              "and writes nothing.",
              "Prove it on the plant: edgectl stoptest SITE --device ID. Then start again."),
    EventSpec("controller.disarmed", W, ("site", "scan"),
              "Set points are held at zero; the scan goes on.", "Arm again when work is done."),
    EventSpec("controller.stopped", I,
              ("site", "scans", "overruns", "setpoints_written", "seconds", "cause"),
              "The controller stopped in good order with its outputs in the safe state.", NOTHING),
    EventSpec("controller.safe_state_entered", E, ("site", "scan", "rows"),
              "Everything was asked to zero and no request is heard; these rows ask for it.",
              "Find the cause of these rows; edgectl interlocks status says who may reset them."),
    EventSpec("controller.stalled", E, ("site", "scan", "age_ms"),
              "The watchdog saw no new scan in time.",
              "Devices fall back by themselves; restart the controller and keep the log."),
    EventSpec("controller.failed", E, ("site", "error"),
              "The controller ended by an error, or did not start.",
              "Do as the message says and start again."),
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
    EventSpec("points.turned_bad", W, ("device", "scan", "reason", "points", "point"),
              "A device answers, and so many of its points cannot be believed; point is one of "
              "them. Said once a device and reason.",
              "Look at that value with edgectl watch, and at the sensor behind it."),
    EventSpec("points.turned_good", I, ("device", "scan", "reason"),
              "For a minute no point of the device was bad for this reason.", NOTHING),
    EventSpec("readback.mismatched", W,
              ("storage", "scan", "output_w", "readback_error_w", "count"),
              "The device does not hold what was written to it; it is written again, twice at "
              "most.",
              "See whether another master writes to this device."),
    # interlock
    EventSpec("interlock.tripped", W,
              ("interlock", "title", "priority", "scan", "first_out", "group", "tags", "effect"),
              "A row of the cause-and-effect table acts; tags are what it looks at.",
              "edgectl why says by which value; see the row's own why, too."),
    EventSpec("interlock.cleared", I, ("interlock", "title", "scan"),
              "The row's cause is gone and it no longer acts.", NOTHING),
    EventSpec("interlock.latched", I, ("interlock", "title", "scan", "reset"),
              "The cause is gone; the row waits for its reset or its off-delay.",
              "Find out why it tripped, then reset it."),
    EventSpec("interlock.reset", I, ("interlock", "title", "scan", "by"),
              "A latched row was reset and no longer acts; by is known where edgectl was asked.",
              NOTHING),
    EventSpec("interlock.locked_out", W, ("interlock", "title", "scan", "trips"),
              "It tripped so often within its window: it now waits for an operator.",
              "Find the repeating cause before resetting."),
    EventSpec("interlock.bypassed", W, ("interlock", "title", "group", "scan", "by", "reason"),
              "The row is evaluated and shown and has no effect, for a limited time.",
              "See that the work it was asked for is done, and end it then."),
    EventSpec("interlock.bypass_ended", I, ("interlock", "title", "group", "scan"),
              "The row acts again: its time was over, or somebody ended the bypass.", NOTHING),
    EventSpec("interlock.discrepancy", W, ("interlock", "title", "priority", "scan"),
              "Causes of the row that can be read contradict each other for its discrepancy_ms.",
              "One of the sensors, contacts or wires is wrong: find out which."),
    EventSpec("maintenance.entered", W, ("site", "scan", "by", "reason"),
              "Proof tests may inject values; the mode ends by itself.", NOTHING),
    EventSpec("maintenance.left", I, ("site", "scan"),
              "Maintenance mode is over, and every proof test with it.", NOTHING),
    # latches
    EventSpec("latches.restored", I, ("path", "sequence", "rows", "bypassed"),
              "Latches of the run before stand again, and bypasses with the time they have left.",
              "Find out why each row tripped, then have it reset by whom it names."),
    EventSpec("latches.row_vanished", W, ("interlock", "standing"),
              "A row that kept a latch or a bypass is no longer in the site file.",
              "See whether it was taken out on purpose."),
    EventSpec("latches.row_changed", W, ("interlock", "standing"),
              "A row that kept its latch acts differently since; the latch stands.",
              "See whether the row was changed on purpose."),
    EventSpec("latches.slot_bad", W, ("path", "problem"),
              "One of the two slots is torn or corrupt; the other one was used.",
              "Once after a power cut is what the second slot is for; else look at the disk."),
    EventSpec("latches.lost", E, ("path", "problem"),
              "No latch of the run before can be read; every row starts tripped as ever, and "
              "bypasses are over.",
              "See the log of the run before for what was latched; look at the disk."),
    EventSpec("latches.write_failed", E, ("path", "error"),
              "Latches cannot be kept; they hold in this run and are lost with it.",
              "Free space or repair the disk."),
    EventSpec("latches.write_restored", I, ("path",), "Latches are kept again.", NOTHING),
    # what batteries hold
    EventSpec("stocks.carried", I, ("storage", "stored_mj", "carbon_ug", "age_s"),
              "The battery's carbon books go on where the run before left them.", NOTHING),
    EventSpec("stocks.first_declared", I, ("storage",),
              "A first start: what the battery holds is declared by the site file.", NOTHING),
    EventSpec("stocks.declared", W, ("storage", "reason"),
              "What the run before kept does not fit; what the battery holds is declared anew, "
              "and the START record says so.",
              "None where the battery or its method was changed; else look at clock and disk."),
    EventSpec("stocks.slot_bad", W, ("path", "problem"),
              "One of the two slots is torn or corrupt; the other one was used.",
              "Once after a power cut is what the second slot is for; else look at the disk."),
    EventSpec("stocks.lost", E, ("path", "problem"),
              "Neither slot of the file can be read; what the memory of the run before does not "
              "have either is declared anew.",
              "Look at the disk; where books were declared anew a verifier will see it."),
    EventSpec("stocks.write_failed", E, ("path", "error"),
              "What the batteries hold cannot be kept; a power cut would lose it.",
              "Free space or repair the disk."),
    EventSpec("stocks.write_restored", I, ("path",), "It is kept again.", NOTHING),
    # dispatch
    EventSpec("request.rejected", W, ("scan", "count"),
              "A request was not finite, out of range, lapsed or torn; the last safe one holds.",
              "Look at who sent it."),
    EventSpec("dispatch.shed_requested", I,
              ("scan", "shed_w", "tier", "load_w", "import_cap_w"),
              "Flexible load is asked to defer: the batteries cannot hold the cap alone, a row "
              "sheds (tier), or somebody asked for it.",
              "None; edgectl why says which."),
    EventSpec("dispatch.shed_ended", I, ("scan",),
              "Nothing is asked of the flexible load any more.", NOTHING),
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
    EventSpec("services.started", I, ("pid", "site"),
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
    # black box
    EventSpec("blackbox.opened", W, ("interlock", "scan"),
              "A row has tripped; what led to it is being frozen.", NOTHING),
    EventSpec("blackbox.frozen", I,
              ("file", "interlock", "scan", "trips", "records", "state", "bytes"),
              "What stood around the trip is in a file; state is complete or truncated.",
              "Read it: edgectl blackbox show FILE. Copy it off the machine after an incident."),
    EventSpec("blackbox.evicted", I, ("file", "bytes"),
              "An old file made room; the newest of each row stays.",
              "Raise [blackbox] keep_mb if they go too soon."),
    EventSpec("blackbox.gap_found", W, ("first_seq", "scans_lost"),
              "Records were overwritten before they were looked through; a trip in them has no "
              "file.",
              "Find out why the services were away longer than the journal is deep."),
    EventSpec("blackbox.cursor_lost", W, ("path", "error"),
              "The place in the journal cannot be read; it is looked through from its oldest "
              "record.",
              "None once; look at the disk if it repeats."),
    EventSpec("blackbox.write_failed", E, ("path", "error"),
              "A black box cannot be written; it is tried again, the ring keeps it for minutes.",
              "Free space or repair the disk."),
    EventSpec("blackbox.write_restored", I, ("path",), "Black boxes are written again.", NOTHING),
    # ledger
    EventSpec("ledger.opened", I, ("path", "records", "next_seq", "key_id"),
              "The ledger goes on where its cursor stands.", NOTHING),
    EventSpec("ledger.key_made", W, ("path", "key_id"),
              "There was no signing key: a new one was made.",
              "Export its public half and give it to those who verify: edgectl key export."),
    EventSpec("ledger.head_signed", I, ("number", "records", "root", "reason", "key_id"),
              "The tree of all records so far was signed and sent to the witnesses.", NOTHING),
    EventSpec("ledger.altered", E, ("path", "fault"),
              "A page of the ledger's file is not as it was sealed: somebody, or a bad disk, "
              "changed it.",
              "Keep the files and run edgectl verify; compare with a copy and the witnesses."),
    EventSpec("ledger.gap_found", E, ("boot_id", "first_seq", "scans_lost", "utc_s"),
              "Records were overwritten before the ledger could take them; the gap is booked.",
              "Find out why the services were away longer than the journal is deep."),
    EventSpec("ledger.write_failed", E, ("path", "error", "behind_scans", "spooled_records"),
              "The ledger cannot be written; seconds wait in memory and are written when it can "
              "be again. The controller goes on.",
              "Free space or repair the disk; the memory is enough for six hours."),
    EventSpec("ledger.spool_filled", E, ("path", "spooled_records"),
              "No more seconds fit the memory; what the journal loses from here on is a gap.",
              "Free space or repair the disk now: the journal's minutes are the last."),
    EventSpec("ledger.write_restored", I, ("path", "behind_scans"),
              "The ledger is written again, with all that waited.", NOTHING),
    EventSpec("ledger.counter_refused", W, ("tenant", "counter", "reason"),
              "A count of compute was not booked.",
              "Look at who sends it; tenants are declared in the site file."),
    EventSpec("ledger.witness_failed", W, ("witness", "error"),
              "A signed head could not be given to this witness; said once, tried on.",
              "See whether the directory or the server is there."),
    EventSpec("ledger.witness_restored", I, ("witness",),
              "The witness has the heads that waited for it.", NOTHING),
    # meters
    EventSpec("meter.disagreed", W,
              ("meter", "of", "first_s", "last_s", "booked_mj", "register_mj", "u_mj", "problem"),
              "What a meter's power adds up to is not what its own counter advanced; the counter "
              "is booked.",
              "Compare both at the meter's display; look for a ratio set on one of them only."),
    EventSpec("meter.recovered", I,
              ("meter", "of", "first_s", "last_s", "booked_mj", "register_mj"),
              "A meter was lost for a time, or no controller ran; its counter gives the energy.",
              "None for the books; find out why it was lost."),
    EventSpec("meter.register_broken", W, ("meter", "found"),
              "The counter did not go on as a counter does; its open window stands as booked.",
              "If the meter was changed or set: nothing. If it ran backwards: look at the "
              "direction of its current transformers."),
    EventSpec("meter.changed", I, ("meter", "by", "last_old_kwh", "first_new_kwh", "outcome"),
              "A signed statement that the meter was changed was taken into the ledger.", NOTHING),
    EventSpec("meter.change_refused", W, ("path", "reason"),
              "A statement that a meter was changed was not taken.",
              "Read the reason; correct and sign it again: edgectl meter swap."),
    EventSpec("meter.not_followed", W, ("meter", "reason"),
              "The meter's counter confirms nothing; what power says is booked.",
              "Give the profile a counter of whole steps, where the device has one."),
    EventSpec("meter.state_failed", W, ("path", "error"),
              "Where the counters stand could not be kept or read: windows that are open over a "
              "restart of the services stay unconfirmed.", "Free space or repair the disk."),
    # alarms
    EventSpec("alarm.annunciated", W,
              ("alarm", "priority", "title", "scan", "operator_action"),
              "An alarm asks for a person.", "As the event says; then acknowledge the alarm."),
    EventSpec("alarm.acknowledged", I, ("alarm", "title", "by", "scan"),
              "A person has taken notice. It resets no interlock.", NOTHING),
    EventSpec("alarm.returned", I, ("alarm", "title", "after", "scan"),
              "The cause is gone. One that nobody acknowledged stays in the list.", NOTHING),
    EventSpec("alarm.latched", I, ("alarm", "title", "after", "scan"),
              "The cause is gone; the row waits for its reset.",
              "Find out why it tripped, then reset the row."),
    EventSpec("alarm.shelved", W, ("alarm", "title", "by", "reason"),
              "A person hides the alarm for a time of at most 8 h.", NOTHING),
    EventSpec("alarm.unshelved", I, ("alarm", "title", "by"),
              "A person shows a shelved alarm again.", NOTHING),
    EventSpec("alarm.shelf_expired", I, ("alarm", "title", "after"),
              "The time on the shelf is over; the alarm is shown again.", NOTHING),
    EventSpec("alarm.taken_out", W, ("alarm", "title", "by", "reason"),
              "A person took the alarm out of service until it is put back.",
              "Put it back as soon as the work is done."),
    EventSpec("alarm.put_back", I, ("alarm", "title", "by"),
              "The alarm is in service again.", NOTHING),
    EventSpec("alarm.retired", I, ("alarm", "before"),
              "The site file no longer has the alarm; its history is kept.", NOTHING),
    EventSpec("alarm.flood_started", W, ("site", "reason"),
              "More than 10 alarms in 10 min: more than a person can follow.",
              "Work from the first-out and the highest priority down."),
    EventSpec("alarm.flood_ended", I, ("site", "reason"),
              "Fewer than 5 alarms in 10 min.", NOTHING),
    EventSpec("alarm.request_refused", W, ("alarm", "by", "reason"),
              "A request that came by MQTT was refused; the reply says why.",
              "Look at who sent it."),
    EventSpec("alarms.gap_found", E, ("boot_id", "first_seq", "scans_lost"),
              "Records were overwritten before alarms were taken from them.",
              "Find out why the services were away longer than the journal is deep."),
    EventSpec("alarms.write_failed", E, ("path", "error"),
              "The alarms cannot be stored; they are taken from the journal again once they can.",
              "Free space or repair the disk before the journal's minutes are over."),
    EventSpec("alarms.write_restored", I, ("path",),
              "The alarms are stored again.", NOTHING),
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
    # plant
    EventSpec("plant.started", I, ("site", "devices", "source"),
              "The simulated devices listen on loopback.", NOTHING),
    EventSpec("plant.stopped", I, ("site", "requests"),
              "The simulated devices are gone.", NOTHING),
    EventSpec("plant.fault_injected", W, ("device", "fault"),
              "A simulated device is wrong on purpose, as the command line asked.", NOTHING),
    EventSpec("plant.failed", E, ("site", "error"),
              "The simulated devices did not start, or ended by an error.",
              "Do as the message says."),
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
