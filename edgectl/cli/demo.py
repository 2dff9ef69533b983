"""`edgectl demo`: a simulated campus as Modbus devices, its controller, services and broker."""

import contextlib
import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from edgectl.cli.demo_parts import (
    Child,
    Killer,
    MessageCount,
    Operator,
    await_segment,
    start_plant,
    write_carbon_feed,
)
from edgectl.cli.demo_summary import JournalSums, summary
from edgectl.cli.top import live
from edgectl.errors import EdgectlError
from edgectl.image import SegmentReader, remove_segment, segment_path
from edgectl.mqtt.broker import start_broker
from edgectl.site_model import Site, load_site

LOOK_S = 0.1
LATEST_S = 86_400.0  # of a demo without an end: how long its deadlines are witnessed
KILLS_FROM, KILLS_TO = 0.2, 0.8  # of the demo's seconds

EPILOG = """\b
Nothing leaves this machine: every device, the broker and the controller are on loopback.
Ctrl-C ends it; the batteries are brought to zero first.

\b
exit status
  0  done
  1  a part of the demo did not come up, or did not stop well
"""


@dataclass(slots=True)
class Demo:
    """What is asked, and what runs."""

    site: Site
    name: str
    data: Path | None
    seed: int
    seconds: float | None
    kills: int
    directory: Path


def demo(
    site: Annotated[str, typer.Argument(help="Site that is simulated.")] = "demo",
    seconds: Annotated[
        float | None, typer.Option(min=1.0, help="End after so long, from the first scan.")
    ] = None,
    summary_file: Annotated[
        Path | None,
        typer.Option("--summary", help="Show nothing; write the figures here, the ledger beside."),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Real carbon, weather and utilisation; built-in climatology without."),
    ] = None,
    kill_services: Annotated[
        int, typer.Option(min=0, help="Kill the services process so often, with SIGKILL.")
    ] = 0,
    seed: Annotated[int, typer.Option(help="Of the simulated campus.")] = 1,
    keep: Annotated[
        Path | None, typer.Option(help="Keep ledger and logs in this directory.")
    ] = None,
) -> None:
    """Run a simulated campus with its controller, and watch it.

    A training job starts some seconds in and takes the site over its import cap: the
    batteries hold it. Attach more: edgectl top demo; mosquitto_sub -t 'edgectl/#' -v.
    """
    checked = load_site(site)
    with _directory(keep, summary_file) as directory:
        asked = Demo(checked, site, data, seed, seconds, kill_services, directory)
        figures = _run(asked, headless=summary_file is not None)
    if summary_file is not None:
        figures |= {"ledger": str(directory), "site": checked.id}
        summary_file.write_text(json.dumps(figures, indent=1) + "\n")
    _say(Console(), figures)


@contextmanager
def _directory(keep: Path | None, summary_file: Path | None) -> Iterator[Path]:
    """Where ledger and logs go: what is kept, also beside figures that are written."""
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        yield keep
        return
    if summary_file is not None:
        yield Path(tempfile.mkdtemp(prefix=f"{summary_file.stem}.ledger-", dir=summary_file.parent))
        return
    with tempfile.TemporaryDirectory(prefix="edgectl-demo-") as temporary:
        yield Path(temporary)


def _run(asked: Demo, *, headless: bool) -> dict[str, Any]:
    """Start every part, watch until the end, stop every part, and sum up."""
    report = asked.directory / "controller.json"
    with ExitStack() as parts:
        console = Console(stderr=True)
        console.print(f"starting the simulated campus {asked.site.id} ...")
        plant, ready = start_plant(
            asked.name, asked.data, asked.seed, asked.directory / "plant.log"
        )
        parts.callback(plant.stop)
        console.print(f"  {len(ready['devices'])} devices; {ready['traces']}")
        broker = parts.enter_context(start_broker())
        console.print(f"  MQTT broker {broker.kind} on 127.0.0.1:{broker.port}")
        count = MessageCount(broker.port, asked.site.id)
        feed = asked.directory / "grid-carbon.json"
        write_carbon_feed(feed, asked.site, asked.data, ready)
        controller = Child(
            "controller",
            _controller_argv(asked, report, feed, broker.port),
            asked.directory / "controller.log",
        )
        parts.callback(controller.stop)
        reader = await_segment(asked.site.id, controller)
        parts.callback(remove_segment, segment_path(asked.site.id))
        sums = _watch(asked, reader, controller, headless=headless)
        status = controller.stop()
        messages = count.stop()
        if status != 0:
            raise EdgectlError(
                where="the controller",
                problem=f"it ended with status {status}; it said:\n  {controller.tail()}",
                because="A demo that ends badly has proved nothing.",
                remedy="See the message above.",
            )
        sums.drain()
        return summary(sums, reader.snapshot(), report, asked.directory, messages)


def _controller_argv(asked: Demo, report: Path, feed: Path, port: int) -> list[str]:
    passed = [
        *("--mqtt-port", str(port)),
        *("--carbon-feed", str(feed)),
    ]
    return [
        *("run", asked.name, "--report", str(report), "--data-dir", str(asked.directory)),
        *("--witness-s", str((asked.seconds or LATEST_S) + 60.0)),
        *(word for value in passed for word in ("--services-option", value)),
    ]


def _watch(asked: Demo, reader: SegmentReader, controller: Child, *, headless: bool) -> JournalSums:
    """Play the operator, count and kill until the seconds are over, and show the plant."""
    sums, operator = JournalSums(reader), Operator(reader)
    span_s = asked.seconds or 0.0
    killer = Killer(
        [
            span_s * (KILLS_FROM + (KILLS_TO - KILLS_FROM) * at / max(asked.kills - 1, 1))
            for at in range(asked.kills)
        ]
    )
    first_s = (time.monotonic_ns() - int(reader.start_ns)) * 1e-9

    def over() -> bool:
        """Once a picture: everything that is not the picture; whether it is time to end."""
        elapsed_s = (time.monotonic_ns() - int(reader.start_ns)) * 1e-9 - first_s
        operator.look(reader.snapshot())
        sums.drain()
        killer.look(elapsed_s, controller)
        if controller.process.poll() is not None:
            return True
        return asked.seconds is not None and elapsed_s >= asked.seconds

    with contextlib.suppress(KeyboardInterrupt):
        console = Console()
        if headless or not console.is_terminal:
            while not over():
                time.sleep(LOOK_S)
        else:
            assert reader.path is not None
            live(reader.path, console, over, asked.directory)
    return sums


def _say(console: Console, figures: dict[str, Any]) -> None:
    """The run in a few lines."""
    peak_w, load_w = figures["grid_peak_w"], figures["load_peak_w"]
    console.print(
        f"{figures['scans']} scans, {figures['overruns']} overruns, "
        f"{figures['missed_while_witness_on_time']} deadlines missed that were ours; "
        f"{figures['rt_grade']}"
    )
    if peak_w is not None and load_w is not None:
        console.print(
            f"grid peak {peak_w / 1e6:.2f} MW, cap {figures['import_cap_w'] / 1e6:.2f} MW; "
            f"the load alone would have drawn {load_w / 1e6:.2f} MW"
        )
    console.print(
        f"PUE {figures['pue']}, grid {figures['grid_intensity_g_per_kwh']} g/kWh; "
        f"balance error {figures['balance_error_mj']} mJ, {figures['balance_error_ug']} ug; "
        f"{figures['ledger_records']} ledger records, {figures['mqtt_messages']} MQTT messages"
    )
    if "ledger" in figures:
        kept, key = figures["ledger"], f"{figures['site']}.key.pub"
        console.print(f"edgectl verify {kept} --key {kept}/{key}", soft_wrap=True)
