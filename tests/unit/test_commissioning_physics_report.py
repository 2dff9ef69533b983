"""Wiring faults are put in as told, and the report says what was found."""

import io
import json

import pytest
from physics_rig import SITE, TABLES, PhysicsRig, without
from rich.console import Console

from edgectl.cli.commission import report
from edgectl.cli.commission_report import show
from edgectl.commissioning.physics import Assessment, assess
from edgectl.errors import PlantError
from edgectl.plant.host import HostOptions, WireHost
from edgectl.plant.wire import slot_words
from edgectl.plant.wiring import KINDS, Wiring, parse_wiring_fault

pytestmark = (
    pytest.mark.untraced
)  # Python that reads with pymodbus: nothing of ext/ is reached anew

START_UTC_NS = 1_690_049_000_000_000_000


def shown(assessment: Assessment) -> str:
    """The report as text."""
    console = Console(file=io.StringIO(), width=100)
    show(console, SITE, assessment)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_report_begins_with_the_finding_and_its_line() -> None:
    found = assess(SITE, PhysicsRig("MTR-03=ct_reversed").watch())
    text = shown(found)
    assert "1  CT reversed on MTR-03  sure" in text
    assert 'sign = "export_positive"' in text
    assert text.index("CT reversed on MTR-03") < text.index("Balance of the meters")
    assert "1 finding; commission again once put right." in text


def test_the_report_of_a_healthy_site_says_what_it_cannot_tell() -> None:
    text = shown(assess(SITE, PhysicsRig().watch()))
    assert "Nothing was found wrong." in text
    assert "What this cannot tell" in text
    assert "Commands of the batteries were not tried" in text


def test_an_open_sum_prints_and_is_json() -> None:
    seen = PhysicsRig().watch(20)
    found = assess(SITE, without(seen, *(t for t in seen.points if t.startswith("MTR-02."))))
    assert "MTR-02 shows no power" in " ".join(shown(found).split())
    machine = json.loads(json.dumps(report(SITE, found), allow_nan=False))
    assert machine["residual_w"] is None
    assert machine["ok"] is True, "nothing was found, and something was measured"


@pytest.mark.parametrize(
    "text", ["MTR-03", "MTR-03=loose", "=x10", "MTR-03=exchanged", "MTR-03=x10:MTR-04",
             "MTR-03=exchanged:MTR-03"],
)  # fmt: skip
def test_a_fault_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(PlantError, match="not DEVICE=KIND"):
        parse_wiring_fault(text)


@pytest.mark.parametrize("text", ["MTR-77=x10", "MTR-03=exchanged:MTR-77"])
def test_a_fault_of_a_device_that_is_not_there_is_refused(text: str) -> None:
    options = HostOptions(start_utc_ns=START_UTC_NS, wiring=Wiring((parse_wiring_fault(text),)))
    with pytest.raises(PlantError, match="has no device MTR-77"):
        WireHost(SITE, options)


@pytest.mark.parametrize("kind", [*KINDS][:-1])
def test_a_faulty_device_says_the_same_on_the_wire_and_in_process(kind: str) -> None:
    rig = PhysicsRig(f"MTR-03={kind}", "GRID-01=exchanged:MTR-04")
    plant = rig.plant
    plant.bus.encode_all()
    for each in plant.devices:
        for slot in each.slots:
            row = TABLES.points[TABLES.point_index[f"{each.device.id}.{slot.point.name}"]]
            first = int(plant.block_words[row["block"]]) + int(row["word"])
            words = slot_words(slot, plant.plant, each.low_first)
            if slot.point.type != "bit":
                assert plant.bus.words(first, len(words)) == words, slot.point.name
