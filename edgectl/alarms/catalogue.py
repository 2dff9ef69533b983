"""Every kind of alarm, declared once: one line makes the alarms of every row or device of a site.

The interlock rows of the site file bring their own title, priority and why. All else
stands in KINDS: a new source is one function in sources.py and one line here. Rules of
suppression by design are data too: RULES. The tables in docs/alarms.md are made from here.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from edgectl.alarms.machine import Timing

NS_PER_S = 1_000_000_000
PRIORITIES = ("low", "medium", "high", "critical")  # the order is the rank
OF_ROW, OF_WATCHED = "its own", "of its rows"  # priorities that the site decides
SITE_GROUP = "SYSTEM"

Directory = Mapping[str, Any]
Target = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Kind:
    """One line of the catalogue.

    pattern      id of the alarm; {id} is the row or device it stands for
    each         "site", "interlock" or "device"
    priority     of PRIORITIES, or where the site decides it
    source       function of sources.py
    title        what an operator reads first
    meaning, consequence, operator_action   after ISA-18.2's rationalization
    on_delay_s, off_delay_s   s that the source must hold
    limit, deadband, unit     where the source is a number: on above limit, off at or under
                 limit - deadband
    where        which rows have it
    """

    pattern: str
    each: str
    priority: str
    source: str
    title: str
    meaning: str
    consequence: str
    operator_action: str
    on_delay_s: float = 0.0
    off_delay_s: float = 0.0
    limit: float | None = None
    deadband: float = 0.0
    unit: str = ""
    where: Callable[[Target], bool] = bool


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of suppression by design.

    name         that the alarm shows
    each, when   for every such target, while this function of sources.py says so
    hold_s       s longer, so that what follows from the cause may clear unheard
    suppresses   ids; {id} is the target, {rows} every row all of whose causes it measures
    critical     whether an alarm of priority critical may be suppressed too
    why          for the one who reviews it
    """

    name: str
    each: str
    when: str
    hold_s: float
    suppresses: tuple[str, ...]
    critical: bool
    why: str


@dataclass(frozen=True, slots=True)
class AlarmSpec:
    """One alarm of one site, as it was declared."""

    id: str
    kind: str  # pattern of its Kind
    target: str  # id of the row or device; empty: the site
    priority: str
    title: str
    group: str
    meaning: str
    consequence: str
    operator_action: str
    on_delay_ns: int
    off_delay_ns: int

    @property
    def timing(self) -> Timing:
        """What the state machine needs of it."""
        return Timing(self.on_delay_ns, self.off_delay_ns)

    def plain(self) -> dict[str, Any]:
        """The declaration in plain types."""
        return asdict(self)


def voted(row: Target) -> bool:
    """Whether the row's causes can disagree."""
    return len(row.get("causes", ())) > 1


def bypassable(row: Target) -> bool:
    """Whether the row can be bypassed at all."""
    return str(row.get("bypass", "never")) != "never"


LINK = "Look at the cable, the switch and the device's own display."

KINDS = (
    Kind("{id}", "interlock", OF_ROW, "row_status", "the row's title", "the row's why",
         "the row's effects: {effects}", "Remove the cause. {reset}"),
    Kind("{id}.DISCREPANCY", "interlock", "medium", "row_discrepancy",
         "Redundant sensors of {id} disagree", "The causes of a voted row say different things.",
         "The row still votes, with less redundancy than it was built with.",
         "Compare the sensors at the equipment and repair the one that is wrong.", 5.0, 5.0,
         where=voted),
    Kind("{id}.BYPASS", "interlock", "medium", "row_bypassed", "{id} is bypassed",
         "An authorised person took the row out of action for a time.",
         "What the row protects is not protected.",
         "Watch it by hand; end the bypass as soon as the work allows.", where=bypassable),
    Kind("{id}.PROOF", "interlock", "low", "row_proof_overdue", "Proof test of {id} is overdue",
         "The row was not made to trip within its interval.", "Nobody knows that it still trips.",
         "Do the test that the row names.", where=lambda row: "proof_due_utc_ns" in row),
    Kind("{id}.COMM", "device", OF_WATCHED, "device_silent", "{id} does not answer",
         "No valid reply in time; every value of the device is bad.",
         "Its rows trip where they ask for it, and it counts at its worst.", LINK, 2.0, 10.0),
    Kind("{id}.IDENTITY", "device", "high", "device_refused", "{id} is not what its profile says",
         "The identity check failed.", "Nothing is read from it or written to it.",
         "Check address, unit and model; then the profile's [[identity]]."),
    Kind("{id}.WRITE", "device", "medium", "device_write_failed", "{id} refused a set point",
         "A write was refused, timed out or was cut off.", "It goes on with an older set point, "
         "or falls back by itself.", "See whether the device is in remote mode.", 0.0, 10.0),
    Kind("{id}.REGISTER", "device", "low", "device_disagrees", "{id} and its own counter disagree",
         "Its power, summed up, is not what its energy counter advanced.",
         "The counter is booked; shares and PUE of the window rest on power that was wrong.",
         "Compare both at the meter's display; look for a ratio or scale set on one of them only.",
         where=lambda device: bool(device.get("booked"))),
    Kind("SYS.CONTROLLER", "site", "critical", "controller_gone",
         "The controller ended without a word", "Its process is gone and did not say goodbye.",
         "Nothing is controlled; devices fall back by themselves.",
         "Look at its last messages, then start it: edgectl run SITE."),
    Kind("SYS.SAFE", "site", "critical", "safe_state", "The controller is in its safe state",
         "A row of effect safe_state acts, or three scans in a row overran.",
         "Everything is asked to zero and no request is heard.",
         "Find the cause, then restart the controller."),
    Kind("SYS.DISARMED", "site", "medium", "not_armed", "The controller is not armed",
         "It runs, is no dry run, and may write nothing.",
         "Batteries stand still; no limit is held by them.", "Arm it, or say why it is not.",
         60.0),
    Kind("SYS.OVERRUN", "site", "low", "overruns", "Scans end too late, again and again",
         "Periods were skipped in the last 60 s.", "Reaction times are longer than promised.",
         "Look for other load on the processor.", limit=2, deadband=2, unit="periods"),
    Kind("SYS.BALANCE", "site", "high", "balance_broken", "Energy or carbon does not balance",
         "Sums of parts did not equal totals: a defect in edgectl.",
         "Figures of these scans are in doubt.", "Keep the journal and report it."),
    Kind("SYS.CARBON", "site", "low", "carbon_default", "The carbon feed is lost",
         "No value of grid carbon is in force.", "The zone's higher default is booked, flagged.",
         "Restore the feed.", 60.0, 10.0),
    Kind("SYS.REQUESTS", "site", "low", "requests_rejected", "A request was rejected",
         "It was not finite, out of range, lapsed or torn.", "The last safe request holds.",
         "Look at who sent it.", 0.0, 60.0),
    Kind("SYS.FOREIGN", "site", "medium", "foreign_writes", "Another master writes set points",
         "A set point that was proved changed without us.", "Two masters fight over a device.",
         "Find the other master and stop it.", 0.0, 60.0),
    Kind("SYS.MAINTENANCE", "site", "low", "maintenance", "Maintenance mode is on",
         "A row is under test, or the plant was put into maintenance mode.",
         "Rows trip on purpose; some alarms are suppressed.", "End it when the work is done."),
    Kind("SYS.PROOF", "site", "low", "never_proved", "Interlocks were never proof-tested",
         "Rows that, as they are, were never made to trip on purpose.",
         "Nobody has seen that they trip.", "edgectl prooftest SITE --due lists them.",
         3600.0, limit=0, unit="rows"),
    Kind("SYS.LEDGER", "site", "high", "ledger_failing", "The ledger cannot be written",
         "SQLite or the disk refuses.",
         "The journal keeps the records for its minutes; then seconds are lost.",
         "Free space or repair the disk.", 2.0, 2.0),
    Kind("SYS.BEHIND", "site", "medium", "behind", "The services are behind",
         "Records wait in the journal.", "Ledger and alarms tell what was, not what is.",
         "Look at the load of the machine and the disk.", 5.0, limit=600, deadband=500,
         unit="scans"),
    Kind("SYS.GAP", "site", "medium", "journal_gap", "Records were lost unread",
         "The journal overwrote them before alarms were taken from them.",
         "An alarm that came and went meanwhile is not in this list.",
         "Look at the ledger's gaps, and why the services were away so long."),
    Kind("SYS.BROKER", "site", "low", "broker_away", "The MQTT broker is away",
         "The services cannot connect to it.", "Nobody who watches by MQTT sees the plant.",
         "See whether the broker runs.", 60.0, 10.0),
)  # fmt: skip

RULES = (
    Rule("under test", "interlock", "row_under_test", 5.0, ("{id}",), True,
         "A proof test trips the row on purpose; who tests sees it in the test's own report."),
    Rule("starting", "interlock", "row_starting", 0.0, ("{id}",), True,
         "Rows start tripped. One that never was clear is annunciated if it still acts 30 s "
         "after the controller's start; one that trips anew is annunciated at once."),
    Rule("start trip", "site", "safe_starting", 0.0, ("SYS.SAFE",), True,
         "The rows that start tripped hold the safe state for a scan or more; one that stands "
         "30 s after the start, or is entered anew, is annunciated."),
    Rule("device silent", "device", "device_silent", 30.0, ("{rows}", "{id}.WRITE"), False,
         "One lost device is one alarm, {id}.COMM, and not one of each row it measures. "
         "Critical rows are annunciated all the same."),
    Rule("wrong device", "device", "device_refused", 0.0, ("{id}.COMM",), False,
         "{id}.IDENTITY says more."),
    Rule("maintenance", "site", "maintenance", 60.0, ("SYS.DISARMED",), False,
         "Whoever works on the plant disarms it on purpose."),
)  # fmt: skip

RESETS = {
    "auto": "It clears by itself.",
    "operator": "An operator resets the row then.",
    "local": "The row is reset at the cabinet then.",
    "restart": "The row is reset by a restart then.",
}


def specs_of(directory: Directory) -> tuple[AlarmSpec, ...]:
    """Every alarm of the site whose directory this is, in the order of KINDS."""
    return tuple(
        spec
        for kind in KINDS
        for target in targets_of(kind.each, directory)
        if kind.where(target) or kind.each == "site"
        for spec in [_spec(kind, target, directory)]
    )


def targets_of(each: str, directory: Directory) -> list[Target]:
    """What a kind or a rule is repeated for."""
    match each:
        case "interlock":
            return list(directory["interlocks"])
        case "device":
            return list(directory["devices"])
        case _:
            return [{"id": ""}]


def measured_rows(device: str, directory: Directory) -> Iterator[Target]:
    """Rows all of whose causes are points of this device."""
    for row in directory["interlocks"]:
        tags = [str(cause["tag"]) for cause in row.get("causes", ())]
        if tags and all(tag.partition(".")[0] == device for tag in tags):
            yield row


def suppressed_ids(rule: Rule, target: Target, directory: Directory) -> Iterator[str]:
    """Ids of the alarms that a rule suppresses for one target."""
    for pattern in rule.suppresses:
        if pattern == "{rows}":
            yield from (str(row["id"]) for row in measured_rows(str(target["id"]), directory))
        else:
            yield pattern.format(id=target["id"])


def _spec(kind: Kind, target: Target, directory: Directory) -> AlarmSpec:
    own = str(target["id"])
    texts = {"id": own, "effects": "", "reset": ""}
    title, meaning = kind.title, kind.meaning
    if kind.priority == OF_ROW:
        title, meaning = str(target.get("title") or own), str(target.get("why") or "")
        effects = target.get("effects") or ({"action": "alarm"},)
        texts["effects"] = ", ".join(_effect(each) for each in effects)
        texts["reset"] = RESETS.get(str(target.get("reset")), "")
    else:
        title, meaning = title.format(**texts), meaning.format(**texts)
    return AlarmSpec(
        id=kind.pattern.format(id=own),
        kind=kind.pattern,
        target=own,
        priority=_priority(kind, target, directory),
        title=title,
        group=_group(kind, target),
        meaning=meaning,
        consequence=kind.consequence.format(**texts).removeprefix("the row's effects: "),
        operator_action=kind.operator_action.format(**texts).strip(),
        on_delay_ns=round(kind.on_delay_s * NS_PER_S),
        off_delay_ns=round(kind.off_delay_s * NS_PER_S),
    )


def _effect(effect: Target) -> str:
    asset = effect.get("asset")
    return str(effect["action"]) + (f" {asset}" if asset else "")


def _group(kind: Kind, target: Target) -> str:
    if kind.each == "site":
        return SITE_GROUP
    return str(target.get("group") or target["id"])


def _priority(kind: Kind, target: Target, directory: Directory) -> str:
    if kind.priority == OF_ROW:
        return str(target.get("priority") or "low")
    if kind.priority != OF_WATCHED:
        return kind.priority
    # What stands for suppressed alarms is no less urgent than the worst of them.
    ranks = [
        PRIORITIES.index(str(row.get("priority", "low")))
        for row in measured_rows(str(target["id"]), directory)
    ]
    return PRIORITIES[min(PRIORITIES.index("high"), max([1, *ranks]))]


def kinds_table() -> str:
    """KINDS as the table of docs/alarms.md."""
    lines = [
        f"| `{kind.pattern}` | {kind.priority} | {_plain(kind.meaning)} | "
        f"{_plain(kind.consequence)} | {_plain(kind.operator_action)} | "
        f"{kind.on_delay_s:g} / {kind.off_delay_s:g} | {_limit(kind)} |"
        for kind in KINDS
    ]
    head = [
        "| id | priority | meaning | consequence | operator action | on / off delay, s | limit |",
        "|---|---|---|---|---|---|---|",
    ]
    return "\n".join(head + lines) + "\n"


def rules_table() -> str:
    """RULES as the table of docs/alarms.md."""
    lines = [
        f"| {rule.name} | `{rule.when}` | {rule.hold_s:g} | "
        f"{', '.join(f'`{each}`' for each in rule.suppresses)} | "
        f"{'yes' if rule.critical else 'no'} | {rule.why} |"
        for rule in RULES
    ]
    head = [
        "| rule | while | hold, s | suppresses | critical ones too | why |",
        "|---|---|---|---|---|---|",
    ]
    return "\n".join(head + lines) + "\n"


def _plain(text: str) -> str:
    return text.replace("the row's effects: {effects}", "the row's effects").replace(
        " {reset}", " Then reset it as the row says."
    )


def _limit(kind: Kind) -> str:
    if kind.limit is None:
        return ""
    return f"over {kind.limit:g}, until {kind.limit - kind.deadband:g} {kind.unit}"
