"""What the verbs that look at devices share: options, addresses, and values as people read them."""

import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from edgectl.commissioning.client import PARITIES, Address, parse_address
from edgectl.commissioning.sweep import Found
from edgectl.profiles.units import KELVIN_OF_0_DEGC

MISSING = "–"
DIGITS = 6
NAMED_MAX = 3  # candidates in one line
J_PER_WH = 3600.0

TARGET = Annotated[
    str, typer.Argument(metavar="TARGET", help="HOST, HOST:PORT, or a serial port: /dev/ttyUSB0.")
]
BAUD = Annotated[int, typer.Option(min=50, max=4_000_000, help="Of a serial port.")]
PARITY = Annotated[str, typer.Option(help="Of a serial port: none, even or odd.")]
STOP_BITS = Annotated[int, typer.Option(min=1, max=2, help="Of a serial port.")]
GAP_MS = Annotated[
    int, typer.Option(min=0, max=10_000, help="Pause between requests; some gateways need it.")
]
AS_JSON = Annotated[bool, typer.Option("--json", help="One JSON object as the last line.")]


def address_of(target: str, baud: int, parity: str, stop_bits: int) -> Address:
    """The address that the command line names; typer.BadParameter when it is none."""
    try:
        return parse_address(target, baud, checked_parity(parity), stop_bits)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def checked_parity(parity: str) -> str:
    """A parity that there is; typer.BadParameter otherwise."""
    if parity not in PARITIES:
        raise typer.BadParameter(f"parity {parity!r}; there are {', '.join(PARITIES)}")
    return parity


@contextmanager
def progress() -> Iterator[Callable[[int, str], Callable[[], None]]]:
    """A bar on standard error for something long; nothing where that is no terminal.

    Gives a function of total and what is counted, which gives the one to call at each step.
    """
    with Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty(),
    ) as bar:  # fmt: skip

        def begin(total: int, what: str) -> Callable[[], None]:
            task = bar.add_task(what, total=total)
            return lambda: bar.advance(task)

        yield begin


def number(value: float) -> str:
    """Up to six digits, thousands apart, without an exponent."""
    if not math.isfinite(value):
        return MISSING
    before = len(str(int(abs(value))))
    text = f"{value:,.{max(0, DIGITS - before)}f}".replace(",", " ")
    return text.rstrip("0").rstrip(".") if "." in text else text


def shown(value: float, unit: str) -> str:
    """A value of an SI unit as a person reads it: 12.35 MW, 25.1 degC, 48.2 %, 0x12."""
    if not math.isfinite(value):
        return MISSING
    if unit in ("state", "count"):
        return str(int(value))
    if unit == "bits":
        return f"{int(value):#x}"
    if unit == "bool":
        return "on" if value else "off"
    if unit == "K":
        return f"{number(value - float(KELVIN_OF_0_DEGC))} degC"
    if unit == "ratio":
        return f"{number(value * 100)} %"
    if unit == "J":
        return _prefixed(value / J_PER_WH, "Wh")
    if unit in ("W", "VA", "var"):
        return _prefixed(value, unit)
    return f"{number(value)} {unit}".rstrip()


def _prefixed(value: float, unit: str) -> str:
    for factor, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= factor:
            return f"{number(value / factor)} {prefix}{unit}"
    return f"{number(value)} {unit}"


def one_line(found: Found) -> tuple[str, str]:
    """Verdict on one unit: what it is, and what is known about that; as scan prints it."""
    probed = found.probed
    if probed is None:
        return "no Modbus", f"takes connections; {found.silent}"
    named = probed.named
    matches = probed.matches
    if probed.profile is not None:
        others = ", ".join(each.name for each in matches[1:])
        also = f"; also fits {others}" if others else ""
        return probed.profile.name, f"{probed.profile.verified}{also}" + _says(named)
    if matches:
        return "several profiles fit", ", ".join(each.name for each in matches) + _says(named)
    if probed.chain is not None and probed.chain.models:
        numbers = " ".join(str(each) for each in probed.chain.ids)
        return f"SunSpec: {named or 'unnamed'}", f"models {numbers}"
    if named:
        return named, "no profile fits; by its device identification"
    if probed.candidates:
        names = [each.profile.name for each in probed.candidates]
        more = f" and {len(names) - NAMED_MAX} more" if len(names) > NAMED_MAX else ""
        return "unknown", f"no identity fits; perhaps {', '.join(names[:NAMED_MAX])}{more}"
    if code := probed.refuses_all:
        return "unknown", f"refuses every read with exception {code}; perhaps no such unit"
    return "unknown", "answers Modbus; no profile fits, and it does not say who it is"


def _says(named: str) -> str:
    return f"; says {named}" if named else ""
