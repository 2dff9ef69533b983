"""The page a sheet stands on: one HTML file with its own style, and the same as PDF."""

import re
from html import escape
from importlib import resources, util
from pathlib import Path

from edgectl.errors import EdgectlError
from edgectl.site_model import Site


def text(value: object) -> str:
    """A value as text of an element."""
    return escape(str(value), quote=True)


def tag_text(value: str) -> str:
    """A text with tags in it, which may be broken at their dots and underscores only."""
    return re.sub(r"(?<=[._])(?=\w)", "<wbr>", text(value))


def page(title: str, site: Site, sheet: str, body: str) -> str:
    """A whole HTML page, self-contained.

    sheet  name of its style: matrix or fat
    body   HTML, escaped by the caller
    """
    styles = "\n".join(_style(name) for name in ("sheet", sheet))
    running = f"{title} · {site.name} · {site.path.name} · SHA-256 {site.sha256}"
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{text(title)}: {text(site.name)}</title>\n<style>\n{styles}\n</style>\n"
        f'</head>\n<body>\n<div class="running">{text(running)}</div>\n{body}\n</body>\n</html>\n'
    )


def _style(name: str) -> str:
    found = resources.files("edgectl.sheets") / f"{name}.css"
    return found.read_text(encoding="utf-8").strip()


def heading(title: str, site: Site, lines: list[str]) -> str:
    """Title, site and what the sheet is made from."""
    told = "".join(f"<p>{line}</p>" for line in lines)
    return (
        f"<header><h1>{text(title)}</h1>"
        f'<p class="site"><b>{text(site.name)}</b> ({text(site.id)}), {text(site.zone)}</p>'
        f"<p>{text(site.path.name)}, SHA-256 <code>{text(site.sha256)}</code></p>{told}</header>"
    )


def check_target(target: Path) -> None:
    """Raise unless the file can be made: .html always, .pdf where WeasyPrint is installed."""
    suffix = target.suffix.lower()
    if suffix not in (".html", ".pdf"):
        raise EdgectlError(
            where=str(target),
            problem=f"a sheet is .html or .pdf, not {suffix or 'a name without an ending'}",
            because="The ending says which of the two is wanted.",
            remedy=f"For example {target.with_suffix('.html')}.",
        )
    if suffix == ".pdf" and util.find_spec("weasyprint") is None:
        raise EdgectlError(
            where=str(target),
            problem="the package weasyprint is not installed",
            because="It sets the pages of a PDF; the controller installs without it.",
            remedy="Install it: pip install 'edgectl[report]'. Or ask for .html and print that.",
        )


def write(target: Path, html: str) -> None:
    """Write the page as its ending says.

    Raises EdgectlError where that cannot be.
    """
    check_target(target)
    content = _pdf(html) if target.suffix.lower() == ".pdf" else html.encode()
    try:
        target.write_bytes(content)
    except OSError as error:
        raise EdgectlError(
            where=str(target),
            problem=f"it cannot be written: {error.strerror or error}",
            because="The sheet is nowhere else.",
            remedy="Name a file in a folder that you may write to.",
        ) from error


def _pdf(html: str) -> bytes:
    try:
        from weasyprint import HTML  # an extra, and slow to import
    except OSError as error:
        raise EdgectlError(
            where="weasyprint",
            problem=f"a library that it needs cannot be loaded: {str(error).splitlines()[0]}",
            because="It sets the text of a PDF with Pango.",
            remedy="Install Pango (Debian: apt install libpango-1.0-0 libpangoft2-1.0-0), or ask "
            "for .html and print that.",
        ) from error
    return bytes(HTML(string=html).write_pdf())
