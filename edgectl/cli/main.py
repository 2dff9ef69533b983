"""`edgectl VERB ...`: finds the verb's module, prints errors as text, sets the exit status.

Only the verb that is asked for is imported, so that `edgectl --help` answers at once and a
controller does not load the simulated plant. A module `edgectl.cli.VERB` has a function of the
verb's name, whose signature is the command and whose docstring is its help, or a typer app named
`app` with commands of its own. EPILOG in the module, if it has one, closes the help.
"""

import sys
from importlib import import_module

import typer

from edgectl.errors import EdgectlError

VERBS = {
    "check": "Check a site file and its device profiles.",
    "interlocks": "List, draw, watch, reset and bypass interlocks.",
    "profile": "List, show and check device profiles.",
    "probe": "Ask one device who it is and what it says.",
    "scan": "Find who answers Modbus in a range of addresses.",
    "watch": "Read one device over and over.",
    "gridcode": "Compare inverters' trip settings with IEEE 1547.",
    "commission": "Find wiring, scale and sign faults by physics.",
    "stoptest": "Prove how fast a battery stops by itself.",
    "run": "Run the control loop for one site until stopped.",
    "top": "Watch a running controller in the terminal.",
    "why": "Say why a battery, a load or a row does what it does.",
    "blackbox": "List, show and export what was frozen around trips.",
    "prooftest": "Make an interlock trip on purpose, and time it.",
    "bench": "Measure the scan and the kernel on this machine.",
    "demo": "Run a simulated campus with its controller, and watch.",
    "alarms": "List, acknowledge and shelve alarms; their history.",
    "services": "Run the ledger and MQTT beside a controller.",
    "meter": "State, signed, that a meter was changed.",
    "verify": "Check that a ledger is whole and as it was signed.",
    "receipt": "Write one tenant's records with their proof.",
    "report": "Report on a period: energy, carbon, origin, evidence.",
    "export": "Write every second of a ledger as Parquet.",
    "key": "Make, rotate and export the keys that sign a ledger.",
    "plant": "Run only the simulated campus, as Modbus TCP devices.",
}

HELP = "A controller for the power and carbon of a data centre."

EPILOG = """\b
exit status
  0  done, or stopped when asked; outputs in safe state
  1  the command could not do its work
  2  site file, profile or command line refused; no device was contacted
  3  a device failed its identity check; nothing was written
  4  too many scans overran; outputs in safe state
  5  no controller runs for this site, or another one does
  6  the ledger could not be written
  7  the MQTT broker refused us
  8  the simulated plant could not be built
  9  a file of measured data is missing or not in its documented form
  10 the alarms' file could not be used, or nobody answered a request

SITE is a path, or a site that ships with edgectl: demo, texas-100mw.

first time here:  edgectl check demo
"""


def show_version(wanted: bool) -> None:
    """Print the version and leave."""
    if wanted:
        from importlib.metadata import version  # 40 ms that no other command needs

        typer.echo(f"edgectl {version('edgectl')}")
        raise typer.Exit


def common(
    _version: bool = typer.Option(
        False, "--version", callback=show_version, is_eager=True, help="Print the version."
    ),
) -> None:
    """Options before the verb."""


def not_loaded() -> None:
    """Stands in the list of verbs for a module that was not asked for."""


def command_line(wanted: str | None) -> typer.Typer:
    """The whole command line, with the module of one verb loaded and a line of help for the others.

    wanted   the verb that will be run; None loads none

    Raises ImportError if the verb's module, or a package it needs, is missing.
    """
    line = typer.Typer(
        help=HELP,
        epilog=EPILOG,
        add_completion=False,
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    line.callback()(common)
    for verb, what in VERBS.items():
        if verb != wanted:
            line.command(verb, help=what)(not_loaded)
            continue
        module = import_module(f"edgectl.cli.{verb}")
        if hasattr(module, "app"):
            line.add_typer(module.app, name=verb, help=what)
        else:
            line.command(verb, epilog=getattr(module, "EPILOG", None))(getattr(module, verb))
    return line


def main() -> None:
    """The console script. Ends the process with the exit status of EPILOG."""
    wanted = next((word for word in sys.argv[1:] if not word.startswith("-")), None)
    try:
        command_line(wanted)(prog_name="edgectl")
    except EdgectlError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("edgectl"):
            raise
        print(
            f"edgectl {wanted}: the package {error.name} is not installed\n"
            "  The controller installs small; some verbs need more.\n"
            "  Install the rest: pip install 'edgectl[demo]'",
            file=sys.stderr,
        )
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
