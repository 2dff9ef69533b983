"""The retained `birth`: what runs here, down to the tables that were compiled from the files."""

import json
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

SCHEMA = "edgectl.birth/1"


def birth(directory: Mapping[str, Any], node: str) -> bytes:
    """The message for one run of the controller.

    directory  of its segment

    Two controllers with the same tables_sha256 decode, protect and decide alike: it is over
    every row that the kernel was given.
    """
    message = {
        "schema": SCHEMA,
        "edgectl": version("edgectl"),
        "site": directory["site"],
        "node": node,
        "site_sha256": directory.get("site_sha256"),
        "tables_sha256": directory.get("tables_sha256"),
        "period_ms": directory["period_ns"] / 1e6,
        "devices": {
            str(each["id"]): {
                name: each.get(name) for name in ("profile", "profile_sha256", "verified")
            }
            for each in directory["devices"]
        },
    }
    return json.dumps(message, separators=(",", ":")).encode()
