"""`use`: a row of the site file that takes over a template, put into the form of any other row.

This is done on the parsed text, before anything is checked, so that what comes from a
template is checked as what is written. Lines stay those of the site file.
"""

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from edgectl.profiles.problems import (
    RANK_KEY,
    RANK_REFERENCE,
    RANK_SAFETY,
    RANK_VALUE,
    Report,
    did_you_mean,
)
from edgectl.profiles.toml_text import Path, TomlText
from edgectl.site_model.check_interlocks import STORAGE_ACTIONS
from edgectl.site_model.tags import MONITOR_VALUE
from edgectl.site_model.templates import Template, templates

Row = dict[str, Any]
USE_KEYS = ("tag", "tags", "asset", "monitor")  # beside use; without it they mean nothing
EITHER = (("cause", "causes"), ("effect", "effects"))
PLAIN_FORMS = ("equals", "not_equals", "limit", "bad")


def expand(text: TomlText) -> tuple[Report, set[int]]:
    """A report over the text with every `use` taken over, and the rows that could not be.

    Problems of the taking over are in the report already.
    """
    data, lines = copy.deepcopy(text.data), dict(text.lines)
    report = Report(TomlText(text.label, data, lines))
    rows = data.get("interlock")
    refused: set[int] = set()
    if not isinstance(rows, list):
        return report, refused
    for at, row in enumerate(rows):
        if not isinstance(row, dict):
            continue
        known = len(report.problems)
        path: Path = ("interlock", at)
        if "use" in row:
            _take_over(report, path, row)
        else:
            _check_stray(report, path, row)
        if len(report.problems) > known:
            refused.add(at)
    return report, refused


def _check_stray(report: Report, path: Path, row: Row) -> None:
    for key in USE_KEYS:
        if key in row:
            report.add(
                (*path, key),
                f"{key} goes with use, and the row has none",
                "It says what a template is to look at; this row has its own cause and effect.",
                "Add use = a template (edgectl interlocks templates), or write it into cause "
                "and effect.",
                RANK_KEY,
            )


def _take_over(report: Report, path: Path, row: Row) -> None:
    """Put a template's keys into a row that names it."""
    template = templates().get(str(row["use"]))
    if template is None:
        report.add(
            (*path, "use"),
            f"unknown template {row['use']}",
            "The row would protect against something that nobody wrote down.",
            _nearest(str(row["use"])),
            RANK_REFERENCE,
        )
        return
    if not _check_needs(report, path, row, template):
        return
    own = dict(row)
    row.clear()
    row.update(copy.deepcopy(template.row))
    _merge(row, own)
    row.setdefault("catalogue", template.catalogue)
    if isinstance(own.get("asset"), str):
        row.setdefault("group", own["asset"])
        _put_asset(report, path, row)
    if _has_monitor(own, template):
        _bring_monitor(report, path, row, template)
    _put_tags(report, path, row)


def _nearest(name: str) -> str:
    own = [each for each in templates() if each.partition("-")[0] == name.partition("-")[0]]
    return f"Known for {name.partition('-')[0]}: {', '.join(own)}." if own else did_you_mean(
        name, templates()
    )  # fmt: skip


def _check_needs(report: Report, path: Path, row: Row, template: Template) -> bool:
    """Whether the row gives everything that the template cannot know."""
    missing = [key for key in template.needs if not _gives(row, key, template)]
    for key in missing:
        report.add(
            path,
            f"{template.id} needs {key}: {template.needs[key]}",
            "The library cannot know it, and a guess would protect something else.",
            f"Add {example(key)}.",
            RANK_SAFETY,
        )
    return not missing


def example(key: str) -> str:
    """How a needed key is written into a row, with ... for its value."""
    head, *rest = key.split(".")
    if not rest:
        return f"{head} = {'[...]' if head == 'tags' else '...'}"
    if head == "causes":
        return f"causes = [{{}}, {{ {rest[1]} = ... }}]"
    return f"{head} = {{ {'.'.join(rest)} = {'[...]' if rest == ['inputs'] else '...'} }}"


def _gives(row: Row, key: str, template: Template) -> bool:
    """Whether a row gives a needed key, or something that stands in for it."""
    head, *rest = key.split(".")
    if key in ("tag", "tags"):
        return any(each in row for each in ("tag", "tags", "monitor")) or _all_tagged(row)
    if head == "monitor":
        given = row.get("monitor")
        return "tag" in row or (isinstance(given, dict) and rest[0] in given)
    if head in ("cause", "causes"):  # any condition will do: it is checked as every other
        return any(_conditions(each) for each in _causes(row))
    return head in row


def _causes(row: Row) -> list[Row]:
    causes = [row.get("cause"), *(row["causes"] if isinstance(row.get("causes"), list) else [])]
    return [each for each in causes if isinstance(each, dict)]


def _all_tagged(row: Row) -> bool:
    causes = _causes(row)
    return bool(causes) and all("tag" in each for each in causes)


def _conditions(cause: Row) -> list[str]:
    """Keys of a cause that say when it is true."""
    return [key for key in cause if key in PLAIN_FORMS or key.startswith(("above_", "below_"))]


def _merge(row: Row, own: Row) -> None:
    """Let what the site writes stand over what the template says, table by table."""
    for pair in EITHER:
        for one, other in (pair, pair[::-1]):
            if one in own and one not in row:
                row.pop(other, None)
    for key, value in own.items():
        row[key] = _merged(row.get(key), value) if key in ("cause", "effect") else value
        if key in ("causes", "effects") and isinstance(value, list):
            row[key] = _merged_list(own, key, value)


def _merged_list(own: Row, key: str, value: list[Any]) -> list[Any]:
    """Table by table where there are as many as in the template, else as the site writes them."""
    before = templates()[own["use"]].row.get(key, [])
    if len(before) != len(value):
        return value
    return [_merged(copy.deepcopy(one), other) for one, other in zip(before, value, strict=True)]


def _merged(template: Any, own: Any) -> Any:
    """One table over another; a condition of another form takes the place of the template's."""
    if not isinstance(template, dict) or not isinstance(own, dict):
        return own
    if set(_conditions(own)) - set(_conditions(template)):
        template = {key: value for key, value in template.items() if key == "tag"}
    if "action" in own and own["action"] != template.get("action"):
        template = {}
    return template | own


def _effects(row: Row) -> Iterator[Row]:
    for each in [row.get("effect"), *(row.get("effects") or [])]:
        if isinstance(each, dict):
            yield each


def _put_asset(report: Report, path: Path, row: Row) -> None:
    """Name the battery in every effect that acts on one."""
    acting = [each for each in _effects(row) if each.get("action") in STORAGE_ACTIONS]
    for each in acting:
        each.setdefault("asset", row["asset"])
    if not acting and row.get("group") != row["asset"]:
        report.add(
            (*path, "asset"),
            f"asset is {row['asset']}; no effect of {row['use']} acts on a battery",
            "Read with the asset it would promise less, or more, than it does.",
            "Remove the asset, or give an effect that acts on one.",
            RANK_VALUE,
        )


def _has_monitor(own: Mapping[str, Any], template: Template) -> bool:
    given = own.get("monitor")
    return isinstance(given, dict) and bool(template.monitor or "kind" in given)


def _bring_monitor(report: Report, path: Path, row: Row, template: Template) -> None:
    """Append the row's monitor to those of the site; it has the row's id and line."""
    monitors = report.text.data.setdefault("monitor", [])
    if not isinstance(monitors, list):
        return
    place: Path = ("monitor", len(monitors))
    monitors.append(copy.deepcopy(template.monitor) | {"id": row.get("id")} | row["monitor"])
    lines = report.text.lines
    lines.setdefault(("monitor",), lines.get(path, 1))
    lines[place] = lines.get(path, 1)
    prefix = (*path, "monitor")
    for where, line in list(lines.items()):
        if where[: len(prefix)] == prefix:
            lines[(*place, *where[len(prefix) :])] = line
    if "tag" not in row and "tags" not in row:
        for each in _causes(row):
            each.setdefault("tag", f"{row.get('id')}.{MONITOR_VALUE}")


def _put_tags(report: Report, path: Path, row: Row) -> None:
    """Name in each cause what it looks at."""
    tags = [row["tag"]] if "tag" in row else row.get("tags")
    if not isinstance(tags, list):
        return
    key = "tag" if "tag" in row else "tags"
    if isinstance(row.get("cause"), dict) and len(tags) > 1:
        row["causes"] = [copy.deepcopy(row["cause"]) for _ in tags]
        del row["cause"]
    causes = _causes(row)
    if len(causes) != len(tags):
        report.add(
            (*path, key),
            f"{len(tags)} {'tag' if len(tags) == 1 else 'tags'}; {row['use']} has "
            f"{len(causes)} causes",
            "Which cause looks at which tag would be a guess.",
            f"Give {len(causes)} tags, in the order of the causes.",
            RANK_SAFETY,
        )
        return
    lines = report.text.lines
    for at, (cause, tag) in enumerate(zip(causes, tags, strict=True)):
        cause["tag"] = tag
        written = (*path, key) if key == "tag" else (*path, key, at)
        where = (*path, "cause", "tag") if "cause" in row else (*path, "causes", at, "tag")
        lines[where] = lines.get(written, lines.get(path, 1))
