"""The report as one HTML page that needs nothing else, and the same page as PDF."""

from importlib.resources import files
from pathlib import Path
from typing import Any

from edgectl.reports import words
from edgectl.reports.colours import PRINT, SAID, SCREEN, on
from edgectl.reports.extras import need
from edgectl.reports.flow import flow_of
from edgectl.reports.mixture import FROM_GENERATOR, GENERATOR, ORIGINS
from edgectl.reports.plots import plots_of

TITLE = "Energy and carbon report"
TENANT_TITLE = "Energy and carbon of your compute"
FRONT = (
    "Energy of the data centre", "Energy of the IT equipment", "Carbon of what was consumed",
    "Energy of your equipment", "Carbon of your equipment", "Your share of cooling and losses",
    "PUE", "CUE", "CFE score",
)  # fmt: skip
LARGER = {
    "kWh": ((10**6, "GWh"), (10**3, "MWh")),
    "kg CO2e": ((10**6, "kt CO2e"), (10**3, "t CO2e")),
}
SHARES = ("CFE score", "REF", "ERF")


class _Words:
    """What the page may say of numbers."""

    number = staticmethod(words.number)
    whole = staticmethod(words.whole)
    energy = staticmethod(words.energy)
    mass = staticmethod(words.mass)
    percent = staticmethod(words.percent)
    duration = staticmethod(words.duration)
    signed = staticmethod(words.signed)
    within = staticmethod(words.within)
    correction = staticmethod(words.correction)

    @staticmethod
    def booked(figure: dict[str, Any]) -> str:
        """What a figure is as booked, in the unit that fits the corrected one."""
        value = figure["as_booked"]
        if figure["name"] in SHARES:
            return words.percent(value)
        return words.number(value / _scale(figure["value"], figure["unit"])[0])

    @staticmethod
    def shown(figure: dict[str, Any]) -> dict[str, str]:
        """Value, ends and unit; shares of a whole as per cent, sums in a unit that fits."""
        value, unit = figure["value"], figure["unit"]
        if value is None:
            return {"value": "\u2013", "unit": "", "low": "", "high": ""}
        if figure["name"] in SHARES:
            ends = {name: words.percent(figure[name])
                    for name in ("value", "low", "high") if figure[name] is not None}  # fmt: skip
            return {"unit": "", "low": "", "high": ""} | ends
        scale, unit = _scale(value, unit)
        ends = {
            name: words.number(figure[name] / scale)
            for name in ("value", "low", "high") if figure[name] is not None
        }  # fmt: skip
        return {"low": "", "high": ""} | ends | {"unit": "" if unit == "1" else unit}

    @staticmethod
    def stamp_of(iso: str) -> str:
        """A time of the document as a person reads it."""
        return iso.replace("T", " ").removesuffix("Z")


def _scale(value: float | None, unit: str) -> tuple[int, str]:
    """A larger unit where it fits, and how many of the smaller it has."""
    larger = LARGER.get(unit, ()) if value is not None else ()
    return next(((size, text) for size, text in larger if (value or 0) >= size), (1, unit))


def pictures_of(document: dict[str, Any]) -> dict[str, str]:
    """Plots and the flow by name, with inks still to be set."""
    flow = flow_of(document)
    return plots_of(document) | ({"flow": flow} if flow else {})


def html_of(document: dict[str, Any], pictures: dict[str, str], *, pdf: bool = False) -> str:
    """The page.

    pictures   as pictures_of() made them
    pdf        with inks and running words for print
    """
    shown = {name: on(svg, PRINT if pdf else SCREEN) for name, svg in pictures.items()}
    present = [
        each for each in ORIGINS if any(row["origins_mj"].get(each) for row in document["origins"])
    ]
    return rendered(
        "report.html.j2",
        d=document | {"has_generator": bool({GENERATOR, FROM_GENERATOR} & set(present))},
        pdf=pdf, title=TENANT_TITLE if document["tenant"] else TITLE,
        plots=_Optional(shown), flow=shown.get("flow"), front=FRONT, present=present, said=SAID,
        names=[each["name"] for each in document["figures"]],
        sum_mj=sum(each["energy_mj"] for each in document["paths"]),
        sum_ug=sum(each["carbon_ug"] for each in document["paths"]),
        step_s=document["step_s"],
    )  # fmt: skip


def rendered(template: str, **said: Any) -> str:
    """A page of this package's, with its style inside. Raises ReportError without Jinja."""
    jinja = need("jinja2", template.removesuffix(".j2"))
    folder = files("edgectl.reports")
    environment = jinja.Environment(
        autoescape=True, undefined=jinja.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["co2"] = words.unit
    page = environment.from_string((folder / template).read_text(encoding="utf-8"))
    css = jinja.utils.markupsafe.Markup((folder / "report.css").read_text(encoding="utf-8"))
    return str(page.render(w=_Words, css=css, **said))


class _Optional(dict[str, str]):
    """A picture that was not made is no error of the page."""

    def __missing__(self, name: str) -> str:
        return ""


def write_pdf(document: dict[str, Any], pictures: dict[str, str], path: Path) -> None:
    """The page as PDF. Raises ReportError where a package or library is missing."""
    path.write_bytes(pdf_of(html_of(document, pictures, pdf=True), "report.pdf"))


def pdf_of(page: str, purpose: str) -> bytes:
    """A page as PDF. Raises ReportError where a package or library is missing."""
    weasyprint = need("weasyprint", purpose)
    content: bytes = weasyprint.HTML(string=page, base_url="about:blank").write_pdf()
    return content
