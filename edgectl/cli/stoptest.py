"""`edgectl stoptest SITE`: leave a converter or an inverter alone under power; see what it does."""

import json as json_text
import os
import signal
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from edgectl.cli.page import console
from edgectl.cli.stoptest_pv import run_pv_tests
from edgectl.cli.stoptest_run import run_stop_tests
from edgectl.commissioning.stop import (
    NS_PER_MS,
    NS_PER_S,
    STAY_NS,
    NotMeasuredError,
    SilencePlan,
    Stop,
    StopPlan,
    plan_stop,
    revert_text,
)
from edgectl.commissioning.stop_pv import PvPlan, plan_pv, pv_devices
from edgectl.errors import EdgectlError
from edgectl.events import Level, configure_logging
from edgectl.site_model import Site, load_site
from edgectl.site_model.proofs import (
    StopProof,
    load_proofs,
    seconds_text,
    stop_budgets_ms,
    store_proof,
    unproven,
)

EPILOG = """\b
It runs a controller of its own, with every interlock of the site alive: no other one may run.
Ctrl-C at any time: the device is written to again, and every battery is brought to zero.
How to choose power and hour, and what the record says: docs/commissioning.md

\b
exit status
  0  every device tested stopped within its budget; the record says so
  1  one stopped too late, or not at all; the record says so, and arming is refused
  2  could not be measured, or was not wanted; the record is as it was
  3  a device failed its identity check; nothing was written
  5  a controller of this site is running

example:  edgectl stoptest SITE --device PCS-01 --power-w 500000 --by "A. Name"
          edgectl stoptest SITE --device PV-01 --power-w -4000000 --by "A. Name"
"""

W_PER_MW = 1e6


@dataclass(slots=True)
class Results:
    """Writes each result to the record as it comes, and keeps it for the verdict."""

    site: Site
    record: Path
    by: str
    proofs: list[StopProof]

    def done(self, plan: SilencePlan, stop: Stop) -> None:
        """Take one."""
        proof = proof_of(self.site, plan, stop, self.by)
        store_proof(self.record, proof)
        self.proofs.append(proof)


def stoptest(
    site: Annotated[str, typer.Argument(metavar="SITE", help="A path, or a shipped site.")],
    power_w: Annotated[
        float,
        typer.Option(
            "--power-w", help="Power it is left alone at; negative discharges, or generates."
        ),
    ],
    by: Annotated[str, typer.Option("--by", help="Who makes the test; it goes into the record.")],
    device: Annotated[
        list[str] | None,
        typer.Option("--device", help="A battery's converter, or inverters; may be repeated."),
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Every battery's converter, one after the other.")
    ] = False,
    observe_s: Annotated[
        float, typer.Option("--observe-s", min=3.0, max=3600.0, help="Give up after so long.")
    ] = 120.0,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before it begins.")] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON object as the last line.")] = False,
) -> None:
    """Prove what a battery or an inverter does by itself when the controller falls silent.

    Brings it to --power-w, falls silent towards its converter, times its way to zero, brings it
    back to zero, and writes what it did into the site's record. An inverter is limited to
    --power-w, left alone, and let go. Without a record of each nothing is armed.
    """
    configure_logging(level=Level.ERROR)
    page = console(stderr=True)
    checked = load_site(site)
    plans = plans_of(checked, device or [], every, power_w, observe_s)
    record = record_of(checked)
    for plan in plans:
        page.print(explained(checked, plan))
    if not yes and not typer.confirm("Begin?", err=True):
        raise typer.Exit(NotMeasuredError.exit_code)
    results = Results(checked, record, by, [])
    try:
        batteries = [each for each in plans if isinstance(each, StopPlan)]
        inverters = [each for each in plans if isinstance(each, PvPlan)]
        cancel = _cancelled_by_signal()
        if batteries:
            run_stop_tests(checked, batteries, cancel, page.print, results.done)
        if inverters:
            run_pv_tests(checked, inverters, cancel, page.print, results.done)
    except EdgectlError as error:
        if json:
            print(json_text.dumps(report(checked, results, str(error))))
        raise
    if json:
        print(json_text.dumps(report(checked, results, None)))
    else:
        for proof in results.proofs:
            print(verdict(checked, proof))
    refused = {each.device for each in unproven(checked)}
    if refused & {proof.device for proof in results.proofs}:
        raise typer.Exit(1)


def plans_of(
    site: Site, devices: Sequence[str], every: bool, power_w: float, observe_s: float
) -> list[SilencePlan]:
    """A plan for each device that is asked for; NotMeasuredError or BadParameter where none is."""
    inverters = pv_devices(site)
    observe_ns = round(observe_s * NS_PER_S)
    if every:
        devices = [each.command.partition(".")[0] for each in site.batteries]
    if not devices:
        raise typer.BadParameter("name a --device, or all batteries' converters with --all")
    return [
        plan_pv(site, each, power_w, observe_ns)
        if each in inverters
        else plan_stop(site, each, power_w, observe_ns)
        for each in devices
    ]


def record_of(site: Site) -> Path:
    """Where the result will be written; refused before anything moves if it cannot be."""
    if site.proofs is None:
        raise NotMeasuredError(
            where=str(site.path),
            problem="[controller] names no record of proofs",
            because="A test whose result is not kept proves nothing.",
            remedy=f'Add: [controller] proofs = "{site.path.stem}.proofs.toml"',
        )
    if site.proofs.exists():
        load_proofs(site.proofs)
    if not os.access(site.proofs.parent, os.W_OK):
        raise NotMeasuredError(
            where=str(site.proofs),
            problem="the record cannot be written there",
            because="A test whose result is not kept proves nothing.",
            remedy="Put site file and record into a directory of your own.",
        )
    return site.proofs


def _cancelled_by_signal() -> threading.Event:
    """Set by Ctrl-C and SIGTERM, from now on."""
    cancel = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: cancel.set())
    return cancel


# ---- what people read


def _megawatt(value_w: float) -> str:
    return f"{value_w / W_PER_MW:g} MW"


def explained(site: Site, plan: SilencePlan) -> Text:
    """What will happen, in numbers."""
    if isinstance(plan, PvPlan):
        return _explained_pv(site, plan)
    assert isinstance(plan, StopPlan)
    battery, power = plan.battery, _megawatt(abs(plan.power_w))
    does = "charges" if plan.power_w > 0 else "discharges"
    rating_w = battery.charge_rating_w if plan.power_w > 0 else battery.discharge_rating_w
    silence = (
        f"nothing at all is sent to {plan.device}; its connection stays open"
        if plan.silent
        else f"{plan.device} is no longer written to; it is still read, which is weaker: some "
        "devices count reads as a sign of life"
    )
    by_itself = "" if plan.independent else ", the converter's own word, which is weaker"
    lines = [
        f"all batteries are held at 0 W, and operator resets that wait since the start are given; "
        f"the {len(site.interlocks)} interlocks are alive; the rest of the site runs as always",
        f"{battery.id} {does} at {power}, {abs(plan.power_w) / rating_w:.0%} of its rating, until "
        f"that has stood for {plan.steady_ns / NS_PER_S:g} s",
        silence,
        f"{plan.watched} is watched{by_itself}: until it has stayed within "
        f"{plan.tolerance_w / 1000:g} kW of zero for {STAY_NS / NS_PER_S:g} s, at most "
        f"{plan.observe_ns / NS_PER_S:g} s",
        f"{battery.id} is brought to 0 W and the controller stops",
    ]
    text = Text.assemble((f"{plan.device}, converter of {battery.id}", "bold"), f" at {site.id}\n")
    for number, line in enumerate(lines, 1):
        text.append(f"  {number}. {line}\n")
    budget = seconds_text(battery.stop_budget_ns // NS_PER_MS)
    text.append(f"  {revert_text(plan)}; the interlocks' budget is {budget}\n")
    if plan.expected:
        text.append(f"  may trip because of the silence: {', '.join(plan.expected)}\n")
    return text


def _explained_pv(site: Site, plan: PvPlan) -> Text:
    by_itself = "" if plan.independent else ", the inverter's own word, which is weaker"
    lines = [
        f"all batteries are held at 0 W; the {len(site.interlocks)} interlocks are alive",
        f"{plan.asset} is limited to {_megawatt(-plan.power_w)} of its "
        f"{_megawatt(plan.pv.rating_w)}, until that has stood for {plan.steady_ns / NS_PER_S:g} s",
        f"nothing at all is sent to {plan.device}; its connection stays open"
        if plan.silent
        else f"{plan.device} is no longer written to; it is still read, which is weaker: some "
        "devices count reads as a sign of life",
        f"{plan.watched} is watched{by_itself}: until it has left the limit for "
        f"{STAY_NS / NS_PER_S:g} s, at most {plan.observe_ns / NS_PER_S:g} s",
        "the controller stops; another run of it lifts the limit",
    ]
    text = Text.assemble((f"{plan.device}, inverter of {plan.asset}", "bold"), f" at {site.id}\n")
    for number, line in enumerate(lines, 1):
        text.append(f"  {number}. {line}\n")
    budget_ns = plan.pv.stop_budget_ns
    budget = "" if budget_ns is None else f"; budget to zero {budget_ns / NS_PER_S:g} s"
    text.append(f"  {revert_text(plan)}{budget}\n")
    return text


def verdict(site: Site, proof: StopProof) -> str:
    """The result in a sentence, and what follows from it."""
    refused = {each.device: each.reason for each in unproven(site)}.get(proof.device)
    may = "may be armed" if refused is None else "must not be armed"
    budgets = stop_budgets_ms(site)
    if proof.command in {each.limit for each in site.pvs}:
        when = "" if proof.stop_ms is None else f" {seconds_text(proof.stop_ms)}"
        of = (
            f"; budget to zero {seconds_text(budgets[proof.command])}"
            if budgets.get(proof.command)
            else ""
        )
        return (
            f"{proof.device} {proof.outcome}{when} after the last write, seen for "
            f"{seconds_text(proof.observed_ms)}, {_megawatt(proof.last_power_w)}{of}: {may}."
        )
    budget = f"budget {seconds_text(budgets[proof.command])}: {may}."
    if proof.stop_ms is None:
        return (
            f"{proof.device} {proof.outcome} for {seconds_text(proof.observed_ms)} after the last "
            f"write, {proof.last_power_w:g} W; {budget}"
        )
    return (
        f"{proof.device} went to zero {seconds_text(proof.stop_ms)} after the last write, at most "
        f"{seconds_text(proof.resolution_ms)} sooner; {budget}"
    )


# ---- for the record, and for machines


def proof_of(site: Site, plan: SilencePlan, stop: Stop, by: str) -> StopProof:
    """The result as the record has it; times rounded up, so that none is shorter than it was."""
    profile = site.device(plan.device).profile
    began = datetime.now(UTC) - timedelta(microseconds=stop.observed_ns // 1000)
    return StopProof(
        device=plan.device,
        command=plan.command,
        profile=profile.name,
        profile_sha256=profile.sha256,
        power_w=plan.power_w,
        observed_through=plan.watched,
        independent=plan.independent,
        mode="silent" if plan.silent else "no_writes",
        outcome=stop.outcome,
        stop_ms=None if stop.stop_ns is None else max(1, _up_ms(stop.stop_ns)),
        resolution_ms=_up_ms(stop.resolution_ns),
        tolerance_w=plan.tolerance_w,
        last_power_w=round(stop.last_power_w, 1),
        observed_ms=_up_ms(stop.observed_ns),
        tested_utc=began.replace(microsecond=0),
        edgectl_version=version("edgectl"),
        by=by,
    )


def _up_ms(time_ns: int) -> int:
    return -(-time_ns // NS_PER_MS)


def report(site: Site, results: Results, error: str | None) -> dict[str, Any]:
    """What --json prints."""
    refused = {each.device: each.reason for each in unproven(site)}
    return {
        "ok": error is None and not refused.keys() & {each.device for each in results.proofs},
        "site": site.id,
        "record": str(results.record),
        "error": error,
        "stops": [
            each.model_dump(mode="json") | {"refused_because": refused.get(each.device)}
            for each in results.proofs
        ],
    }
