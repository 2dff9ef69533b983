"""The sheet of the factory acceptance test (IEC 62381): one procedure a row, to be signed."""

from itertools import groupby

from edgectl.sheets.page import heading, page, tag_text, text
from edgectl.sheets.procedures import Step, procedure
from edgectl.site_model import Interlock, Site
from edgectl.site_model.text import cause_text, monitor_text, seconds_text, vote_text

TITLE = "Factory acceptance test of the interlocks"
FIELDS = ("Tested by", "Witnessed by", "Date", "Rig and its calibration")


def fat_html(site: Site) -> str:
    """The whole sheet."""
    steps = sum(len(procedure(site, row)) for row in site.interlocks)
    lines = [
        f"{len(site.interlocks)} rows, {steps} steps, made from the cause-and-effect table. Scan "
        f"period {seconds_text(site.scan.period_ns)} s: a reaction has its delay and two scans.",
        "Set values at the device, as the rig can; a value that no device gives is injected in "
        "maintenance mode (edgectl prooftest). Write down what was measured.",
        "edgectl is a control system, not a safety instrumented system: no SIL is claimed. The "
        "hard-wired functions are tested on a sheet of their own.",
    ]
    groups = "".join(
        f"<h2>{text(group)}</h2>{''.join(_card(site, row) for row in rows)}"
        for group, rows in groupby(site.interlocks, key=lambda each: each.group)
    )
    body = f"{heading(TITLE, site, lines)}{_signatures('Whole sheet')}<main>{groups}</main>"
    return page(TITLE, site, "fat", body)


def _card(site: Site, row: Interlock) -> str:
    number = f' <span class="cat">{text(row.catalogue)}</span>' if row.catalogue else ""
    vote = f" ({vote_text(row)})" if len(row.causes) > 1 else ""
    causes = "; ".join(tag_text(cause_text(each)) for each in row.causes)
    made_of = sorted({monitor_text(site, each.tag) for each in row.causes} - {""})
    monitors = "".join(f'<p class="made">{tag_text(each)}</p>' for each in made_of)
    steps = "".join(_step(at, step) for at, step in enumerate(procedure(site, row), start=1))
    return (
        f'<section id="{text(row.id)}" class="{row.priority}"><div class="title">'
        f'<h3><span class="prio" title="{row.priority}"></span>{text(row.id)}{number}</h3>'
        f'<span class="test">{text(row.proof_test)}</span></div>'
        f"<p>{text(row.title)}. <i>{text(row.why)}</i></p>"
        f'<p class="when">{causes}{text(vote)}; bad quality: {row.on_bad_quality}; '
        f"on {seconds_text(row.on_delay_ns)} s, off {seconds_text(row.off_delay_ns)} s; "
        f"reset: {row.reset}; bypass: {row.bypass}; every {row.proof_interval_days} days</p>"
        f'{monitors}<table class="steps"><thead><tr><th>Step</th><th>On the rig</th>'
        "<th>Expected</th><th>Within</th><th>Measured</th><th>Pass</th><th>Fail</th></tr></thead>"
        f"<tbody>{steps}</tbody></table>"
        '<div class="sign"><span>Tested by</span><span>Witnessed by</span><span>Date</span></div>'
        "</section>"
    )


def _step(number: int, step: Step) -> str:
    return (
        f'<tr><td class="no">{number}</td><td class="do">{tag_text(step.do)}</td>'
        f'<td class="expect">{text(step.expect)}</td>'
        f'<td class="within">{text(step.within)}</td><td class="fill"></td>'
        '<td class="box">☐</td><td class="box">☐</td></tr>'
    )


def _signatures(title: str) -> str:
    fields = "".join(f"<span>{text(each)}</span>" for each in FIELDS)
    return f'<div class="whole"><b>{text(title)}</b><div class="sign">{fields}</div></div>'
