"""`edgectl interlocks`: the cause-and-effect table, on paper and alive."""

import getpass
import json as json_text
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.live import Live

from edgectl.cli import interlocks_live as live_view
from edgectl.cli import interlocks_view as view
from edgectl.cli.page import console
from edgectl.cli.top import segment_of
from edgectl.image import Mailbox, attach
from edgectl.image.authority import Person
from edgectl.sheets.fat import fat_html
from edgectl.sheets.matrix import matrix_html
from edgectl.sheets.page import check_target, write
from edgectl.site_model.load import load_site

S_PER_H = 3600.0
S_PER_MIN = 60.0
REFRESH_S = 0.5
STATUS_EPILOG = """\b
exit status
  0  done, and confirmed by the controller
  1  a rule forbids it, or the controller did not do it; the message says why
  5  no controller runs for this site
"""

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
Site = Annotated[str, typer.Argument(metavar="SITE", help="A path, or a shipped site.")]
Running = Annotated[
    str | None, typer.Option("--site", help="Which controller, where several run here.")
]
By = Annotated[str, typer.Option("--by", help="Who asks; your login where left out.")]
Output = Annotated[Path, typer.Option("-o", "--output", help="A file, .html or .pdf.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object as the last line.")]


@app.command("list")
def list_rows(
    site: Site,
    group: Annotated[str | None, typer.Option("--group", help="Only this group.")] = None,
    why: Annotated[bool, typer.Option("--why", help="Say why each row is there.")] = False,
    json: AsJson = False,
) -> None:
    """The table of a site file: thresholds, effects, delays, reset, bypass, proof test."""
    checked = load_site(site)
    if json:
        print(json_text.dumps(view.rows_json(checked, group)))
        return
    view.show_rows(console(), checked, group, why=why)


@app.command()
def templates(
    name: Annotated[
        str | None, typer.Argument(help="A cause, I07, or a template, I07-high.")
    ] = None,
    json: AsJson = False,
) -> None:
    """The shipped library: what each template does, needs, and how a row takes it over."""
    if json:
        print(json_text.dumps(view.templates_json(name)))
        return
    view.show_templates(console(), name)


@app.command()
def matrix(site: Site, output: Output) -> None:
    """Write the cause-and-effect matrix (IEC 62881) as HTML, or as PDF on A3."""
    check_target(output)
    checked = load_site(site)
    write(output, matrix_html(checked))
    print(f"{output}: {len(checked.interlocks)} causes of {checked.id}")


@app.command()
def fat(site: Site, output: Output) -> None:
    """Write the sheet of the factory acceptance test: a procedure a row, to be signed."""
    check_target(output)
    checked = load_site(site)
    write(output, fat_html(checked))
    print(f"{output}: {len(checked.interlocks)} procedures of {checked.id}")


@app.command()
def status(
    site: Annotated[
        str | None, typer.Argument(metavar="[SITE]", help="The only running one if left out.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="The rows that are clear as well.")] = False,
    live: Annotated[bool, typer.Option("--live", help="Look again and again, until Ctrl-C.")] = (
        False
    ),
    json: AsJson = False,
) -> None:
    """What each row does now: tripped, latched, first out, bypassed, contradicting, under test."""
    with attach(segment_of(site)) as reader:
        if json:
            print(json_text.dumps(live_view.status_json(reader)))
            return
        if not live:
            console().print(live_view.status(reader, every=every))
            return
        with Live(console=console(), screen=True, auto_refresh=False) as picture:
            try:
                while True:
                    picture.update(live_view.status(reader, every=every), refresh=True)
                    time.sleep(REFRESH_S)
            except KeyboardInterrupt:
                return


def _person(site: str | None, by: str) -> Person:
    path = segment_of(site)
    return Person(attach(path), Mailbox(path), by or getpass.getuser())


@app.command(epilog=STATUS_EPILOG)
def reset(
    row: Annotated[str | None, typer.Argument(help="Id of the interlock.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every latch that may be.")] = False,
    site: Running = None,
    by: By = "",
) -> None:
    """Clear a latch whose cause is gone, as the operator; the controller's answer is shown."""
    if (row is None) == (not every):
        raise typer.BadParameter("name one interlock, or ask for --all")
    person = _person(site, by)
    cleared = person.reset(row)
    print(f"cleared: {', '.join(cleared)}" if cleared else "nothing waits for an operator")
    for name, why in live_view.still_latched(person.reader):
        print(f"  {name}: {why}")


@app.command(epilog=STATUS_EPILOG)
def bypass(
    row: Annotated[str, typer.Argument(help="Id of the interlock.")],
    hours: Annotated[float, typer.Option("--hours", min=0.0, help="For so long, 8 at most.")] = 0,
    reason: Annotated[str, typer.Option("--reason", help="Why; it stands in the log.")] = "",
    off: Annotated[bool, typer.Option("--off", help="End it now.")] = False,
    site: Running = None,
    by: By = "",
) -> None:
    """Take the effects of a row away for a limited time. It stays evaluated, shown and logged."""
    if off == (hours > 0):
        raise typer.BadParameter("give --hours with --reason, or --off")
    left_s = _person(site, by).bypass(row, 0.0 if off else hours * S_PER_H, reason)
    if off:
        print(f"{row} acts again")
        return
    print(f"{row} is bypassed for {live_view.left_text(left_s)}; it then acts again by itself")


@app.command(epilog=STATUS_EPILOG)
def maintenance(
    mode: Annotated[str, typer.Argument(metavar="on|off", help="Enter or leave it.")],
    minutes: Annotated[float, typer.Option("--minutes", min=1.0, help="60 at most.")] = 60.0,
    reason: Annotated[str, typer.Option("--reason", help="Why; it stands in the log.")] = "",
    site: Running = None,
    by: By = "",
) -> None:
    """Enter or leave maintenance mode, in which proof tests may inject values; rows act as ever."""
    if mode not in ("on", "off"):
        raise typer.BadParameter(f"{mode} is neither on nor off")
    wanted = mode == "on"
    _person(site, by).maintenance(minutes * S_PER_MIN if wanted else 0.0, reason)
    print(f"maintenance mode is on for {minutes:g} min" if wanted else "maintenance mode is off")
