"""`edgectl bench ...`: measure scan, trips, kernel and field bus on this machine."""

import typer

from edgectl.cli.bench_figures import show

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

AS_JSON = typer.Option(False, "--json", help="One JSON object as the last line.")


@app.command()
def scan(
    devices: int = typer.Option(64, min=1, max=1024, help="Modbus TCP devices, one port each."),
    registers: int = typer.Option(60, min=1, max=2000, help="Registers read of each per scan."),
    seconds: float = typer.Option(60.0, min=1.0, help="From the first scan."),
    period_ms: float = typer.Option(100.0, min=5.0, max=10_000.0, help="Scan period."),
    stress: bool = typer.Option(False, help="Load processors and disk meanwhile."),
    faults: bool = typer.Option(False, help="Let some devices misbehave; they are not counted."),
    as_json: bool = AS_JSON,
) -> None:
    """Run the kernel on real sockets, beside a witness, and hold it against two other clients.

    The witness is a thread that only sleeps to the same deadlines: what it
    misses is the machine's, what the scan misses while it is on time is ours.
    """
    from edgectl.cli.bench_scan import ScanBench, scan_figures  # another bench needs none of it

    period_ns = round(period_ms * 1e6)
    bench = ScanBench(devices, registers, seconds, period_ns, stress, faults)
    show(scan_figures(bench), as_json)


@app.command()
def kernel(
    tags: int = typer.Option(2000, min=16, max=60_000, help="Points that arrive in each scan."),
    interlocks: int = typer.Option(100, min=0, max=1024, help="Interlock rows."),
    simulate_hours: float = typer.Option(
        None, min=0.001, help="Run plant and kernel in simulated time instead."
    ),
    seed: int = typer.Option(1, min=0, help="Of the simulated plant; same seed, same digest."),
    site: str = typer.Option("demo", help="Site to simulate."),
    as_json: bool = AS_JSON,
) -> None:
    """Time one scan without input or output, or scans of a simulated site per second."""
    from edgectl.cli import bench_kernel

    if simulate_hours is None:
        show(bench_kernel.exec_figures(tags, interlocks), as_json)
    else:
        show(bench_kernel.simulate_figures(simulate_hours, seed, site), as_json)


@app.command()
def trip(
    injections: int = typer.Option(2000, min=1, max=100_000, help="Causes, one after the other."),
    period_ms: float = typer.Option(100.0, min=5.0, max=10_000.0, help="Scan and poll period."),
    seed: int = typer.Option(1, min=0, help="Of the instants at which the causes come."),
    as_json: bool = AS_JSON,
) -> None:
    """Time trips on real sockets: from the change of a meter's register to 0 W at a converter.

    Each cause comes at a random instant of the scan; about four fit into a
    second. Beside the scan runs a witness, as in bench scan.
    """
    from edgectl.cli.bench_trip import TripBench, trip_figures

    show(trip_figures(TripBench(injections, round(period_ms * 1e6), seed)), as_json)


@app.command()
def fieldbus(
    connections: int = typer.Option(20, min=1, max=400, help="One device a connection."),
    registers: int = typer.Option(125, min=1, max=125, help="Registers of each read."),
    seconds: float = typer.Option(9.0, min=0.1, help="Of each client, over all rounds."),
    outstanding: int = typer.Option(
        8, min=1, max=8, help="Requests to a device at once, where a client can."
    ),
    together: bool = typer.Option(False, help="Client and server on one processor."),
    as_json: bool = AS_JSON,
) -> None:
    """Hold our Modbus master against a raw epoll loop, libmodbus and pymodbus, one server.

    Every client asks again as soon as it is answered; they take turns, and the
    figures are medians over the rounds.
    """
    from edgectl.cli.bench_fieldbus import FieldbusBench, fieldbus_figures

    show(
        fieldbus_figures(FieldbusBench(connections, registers, seconds, outstanding, together)),
        as_json,
    )


@app.command()
def ledger(
    days: float = typer.Option(1.0, min=0.04, max=366.0, help="Days of one-second records."),
    meters: int = typer.Option(40, min=10, max=80, help="Meters of the site."),
    as_json: bool = AS_JSON,
) -> None:
    """Write and verify a ledger in bulk, and time the live writer."""
    from edgectl.cli.bench_ledger import ledger_figures

    show(ledger_figures(days, meters), as_json)
