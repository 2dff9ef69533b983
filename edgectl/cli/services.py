"""`edgectl services SITE`: the ledger and MQTT, beside a controller."""

import signal
import threading
from pathlib import Path
from typing import Annotated

import structlog
import typer

from edgectl.errors import EdgectlError
from edgectl.events import configure_logging, emit
from edgectl.ledger import data_dir
from edgectl.services import FileFeed, Services, Settings, feed_of, scope_of
from edgectl.services.supervisor import PARENT_VARIABLE
from edgectl.site_model import load_site

EPILOG = """\b
exit status
  0  stopped when asked
  2  site file refused
  6  the ledger is not one of this edgectl, or another process writes it
  9  the carbon feed's file is not in one of its forms
"""


def services(
    site: Annotated[str, typer.Argument(metavar="SITE", help="A path, or a shipped site.")],
    data: Annotated[
        Path | None,
        typer.Option("--data-dir", help="Ledger files. [$EDGECTL_DATA_DIR, else ./edgectl-data]"),
    ] = None,
    mqtt_host: Annotated[
        str | None, typer.Option("--mqtt-host", help="Broker, instead of the site file's.")
    ] = None,
    mqtt_port: Annotated[
        int | None,
        typer.Option("--mqtt-port", min=0, max=65535, help="Its port; 0 publishes nothing."),
    ] = None,
    carbon_feed: Annotated[
        Path | None,
        typer.Option("--carbon-feed", help="Grid carbon, before the site file's."),
    ] = None,
    carbon_ttl_s: Annotated[
        float, typer.Option("--carbon-ttl-s", min=1.0, help="s that a value stays good.")
    ] = 900.0,
    parent_pid: Annotated[
        int | None,
        typer.Option(help="End when this is no longer the parent.", envvar=PARENT_VARIABLE),
    ] = None,
    log_json: Annotated[bool, typer.Option("--log-json", help="Events as JSON lines.")] = False,
) -> None:
    """Run the ledger and MQTT beside a controller, until stopped.

    Waits for the controller of the site, reads its journal, and attaches again when a new one
    starts. May be killed at any time: it goes on where the ledger's cursor stands.
    """
    configure_logging(log_json=log_json)
    log = structlog.get_logger()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    loaded = load_site(site)
    settings = Settings(
        site=loaded.id,
        data_dir=data_dir(data),
        mqtt_host=mqtt_host,
        mqtt_port=mqtt_port,
        carbon_ttl_s=carbon_ttl_s,
        parent_pid=parent_pid,
    )
    try:
        feed = (
            FileFeed(carbon_feed, loaded.zone, scope_of(loaded))
            if carbon_feed
            else feed_of(loaded, log, carbon_ttl_s)
        )
        Services(settings, log, feed).run(stop)
    except EdgectlError as error:
        emit(log, "services.failed", error=error.problem)
        raise
