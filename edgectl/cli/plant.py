"""`edgectl plant`: the simulated campus alone, as Modbus TCP devices and RTU lines."""

import asyncio
import contextlib
import json
import signal
from pathlib import Path
from typing import Annotated

import structlog
import typer

from edgectl.errors import EdgectlError
from edgectl.events import configure_logging, emit
from edgectl.plant.campus import SCENARIOS
from edgectl.plant.der_settings import parse_der_setting
from edgectl.plant.host import HostOptions, WireHost
from edgectl.plant.start import parse_utc_ns
from edgectl.plant.wire import WirePlant
from edgectl.plant.wiring import KINDS, Wiring, parse_wiring_fault
from edgectl.site_model.load import load_site

EPILOG = """\b
It prints one line of JSON once every device answers, and stops on SIGTERM or Ctrl-C.
Two processes that share a site's devices out with --devices do not share one physics:
what a battery does in the one moves no meter in the other.
The port of a serial line becomes a link to a pseudo-terminal; where anything else stands
already, the plant refuses to start.

exit status
  0  stopped when asked
  2  site file or command line refused
  8  the plant cannot be built for this site, or a port is in use or taken
  9  the data directory cannot be read
"""

log = structlog.get_logger()


def plant(
    site: Annotated[str, typer.Argument(help="Site file, or the name of a shipped site.")],
    data: Annotated[
        Path | None,
        typer.Option(help="Directory with ci, weather, cpu; built-in climatology without."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of every draw; the same seed, the same plant.")] = 1,
    devices: Annotated[
        str | None, typer.Option(help="Serve only these, by id with commas between.")
    ] = None,
    scenario: Annotated[
        str, typer.Option(help=f"What happens: {' or '.join(SCENARIOS)}.")
    ] = "demo",
    start: Annotated[
        str | None, typer.Option(help="UTC to start at, ISO 8601; a telling hour without.")
    ] = None,
    wiring_fault: Annotated[
        list[str] | None,
        typer.Option(help=f"DEVICE=KIND, may be repeated; KIND: {', '.join(KINDS)}:OTHER."),
    ] = None,
    der_setting: Annotated[
        list[str] | None,
        typer.Option(
            help="DEVICE=SETTING:VALUE[:SECONDS], may be repeated: a converter set otherwise than "
            "the IEEE 1547 defaults, as in PCS-01=UV1:0.70:2.0."
        ),
    ] = None,
) -> None:
    """Serve the simulated devices of SITE until stopped."""
    configure_logging()
    options = HostOptions(
        data=data,
        seed=seed,
        devices=None if devices is None else tuple(devices.split(",")),
        scenario=_known(scenario),
        start_utc_ns=None if start is None else _moment(start),
        wiring=Wiring(tuple(map(parse_wiring_fault, wiring_fault or []))),
        der_settings=tuple(map(parse_der_setting, der_setting or [])),
    )
    loaded = load_site(site)
    try:
        asyncio.run(_serve(WireHost(loaded, options)))
    except Exception as error:
        said = f"{error.where}: {error.problem}" if isinstance(error, EdgectlError) else repr(error)
        emit(log, "plant.failed", site=loaded.id, error=said)
        raise


async def _serve(host: WireHost) -> None:
    """Listen, say so, and wait for a signal."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    wire = host.wire()
    await wire.start()
    _tell_started(host, wire)
    with contextlib.suppress(BrokenPipeError):  # whoever started us need not listen
        typer.echo(
            json.dumps(
                {
                    "event": "plant.ready",
                    "site": host.site.id,
                    "devices": [each.device.id for each in wire.devices],
                    "lines": {each.line.id: each.line.port for each in wire.lines},
                    "start_utc": host.start_utc.isoformat(),
                    "traces": host.traces.source,
                    "seed": host.options.seed,
                    "scenario": host.options.scenario,
                }
            )
        )
    await wire.until(stopped)
    await wire.stop()
    requests = sum(each.requests for each in wire.devices)
    emit(log, "plant.stopped", site=host.site.id, requests=requests)


def _tell_started(host: WireHost, wire: WirePlant) -> None:
    """The same to whoever reads the log, with what is wrong on purpose."""
    emit(
        log,
        "plant.started",
        site=host.site.id,
        devices=len(wire.devices),
        source=host.traces.source,
    )
    for fault in host.options.wiring.faults:
        text = fault.kind if fault.other is None else f"{fault.kind}:{fault.other}"
        emit(log, "plant.fault_injected", device=fault.device, fault=text)
    for each in host.options.der_settings:
        time_s = "" if each.time_s is None else f":{each.time_s:g}"
        text = f"{each.setting}:{each.value:g}{time_s}"
        emit(log, "plant.fault_injected", device=each.device, fault=text)


def _known(scenario: str) -> str:
    if scenario not in SCENARIOS:
        raise typer.BadParameter(f"{scenario!r}; there are {', '.join(SCENARIOS)}")
    return scenario


def _moment(text: str) -> int:
    try:
        return parse_utc_ns(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no ISO 8601 time: {error}") from error
