"""The library of templates: whole, sound, and taken over by rows that stand over it."""

import re

import pytest
from catalogue_rig import ALARM, MONITORS, PATH, ROWS, TEXT, refused, site_of

from edgectl.errors import Problem, SiteFileError
from edgectl.site_model import load_site
from edgectl.site_model.schema_interlock import InterlockEntry
from edgectl.site_model.schema_monitor import MonitorEntry
from edgectl.site_model.templates import CAUSES, example_row, templates

ROW_KEYS = set(InterlockEntry.model_fields)
MONITOR_KEYS = set(MonitorEntry.model_fields)
NEEDS_MONITOR = {"I03-collapse", "I24-shed"}  # they look at a monitor that stands elsewhere


def test_every_cause_of_the_catalogue_has_a_template() -> None:
    assert sorted({each.catalogue for each in templates().values()}) == list(CAUSES)
    assert len(CAUSES) == 42


def test_the_example_site_has_every_template_and_so_every_cause() -> None:
    assert set(ROWS) == set(templates())
    site = load_site(PATH)
    assert sorted({row.catalogue for row in site.interlocks}) == list(CAUSES)


@pytest.mark.parametrize("name", templates())
def test_a_template_says_what_it_is_and_has_known_keys(name: str) -> None:
    template = templates()[name]
    assert template.mark in ("V", "K")
    assert template.source
    assert set(template.row) <= ROW_KEYS
    assert set(template.monitor) <= MONITOR_KEYS
    assert {"title", "priority", "why", "reset", "bypass", "on_bad_quality"} <= set(template.row)
    assert "why" in template.monitor or not template.monitor
    for text in (template.source, template.row["title"], template.row["why"]):
        assert len(text) < 100, text


@pytest.mark.parametrize("name", templates())
def test_a_template_compiles_alone_with_what_it_needs(name: str) -> None:
    others = MONITORS if name == "I03-collapse" else ""
    others += ROWS["I24-inhibit"] if name == "I24-shed" else ""
    site = site_of(others + ROWS[name])
    row = site.interlocks[-1]
    template = templates()[name]
    assert (row.catalogue, row.title) == (template.catalogue, template.row["title"])
    assert {each.action for each in row.effects} == {
        each["action"] for each in template.row.get("effects") or [template.row["effect"]]
    }


NEEDED = [(each.id, key) for each in templates().values() for key in each.needs]


@pytest.mark.parametrize(("name", "key"), NEEDED)
def test_a_key_that_only_the_site_knows_is_asked_for_at_the_row(name: str, key: str) -> None:
    head, *rest = key.split(".")
    row = ROWS[name]
    if name == "I24-shed":  # with a monitor of its own
        row = ROWS["I24-inhibit"].replace("I24-inhibit", name)
    if head == "cause":
        row = re.sub(r"(?m)^cause .*\n", "", row)
    elif head == "causes":
        row = re.sub(r"(?m)^causes .*\n", "", row)
    elif rest:
        row = re.sub(rf"{rest[0]} = (\[[^\]]*\]|[^,}}]*),? ?", "", row)
    else:
        row = re.sub(rf"(?m)^{key} .*\n", "", row)
    row = re.sub(r", }", " }", row)
    found = refused(ALARM + row)
    wanted = f"{name} needs {key}: {templates()[name].needs[key]}"
    (problem, line) = next((p, line) for p, line in found if p.problem == wanted)
    assert line == ALARM.count("\n") + 1
    assert problem.remedy.startswith("Add ")
    assert all("missing" not in each.problem for each, _ in found), "one mistake, one message"


@pytest.mark.parametrize("name", templates())
def test_the_example_to_paste_names_every_need(name: str) -> None:
    text = example_row(templates()[name])
    assert text.startswith("[[interlock]]\nuse ")
    for key in templates()[name].needs:
        assert key.split(".")[-1] in text


SOC = ROWS["I07-high"]


def test_what_the_row_writes_stands_over_the_template() -> None:
    text = SOC + "cause = { above_ratio = 0.85, reset_below_ratio = 0.80 }\npriority = 'high'\n"
    row = site_of(text).interlocks[0]
    (cause,) = row.causes
    assert (cause.on, cause.off, row.priority) == (0.85, 0.80, "high")
    assert row.why == templates()["I07-high"].row["why"]


def test_one_key_of_the_cause_leaves_the_others() -> None:
    row = site_of(SOC + "cause = { reset_below_ratio = 0.70 }\n").interlocks[0]
    assert (row.causes[0].on, row.causes[0].off) == (0.90, 0.70)


def test_a_condition_of_another_form_takes_the_templates_place() -> None:
    row = site_of(SOC + "cause = { below_ratio = 0.3, reset_above_ratio = 0.4 }\n").interlocks[0]
    assert (row.causes[0].op, row.causes[0].on) == ("below", 0.3)


def test_another_action_takes_nothing_of_the_templates_own() -> None:
    text = ROWS["I11-warn"] + 'effect = { action = "zero" }\n'
    (effect,) = site_of(text).interlocks[0].effects
    assert (effect.action, effect.asset, effect.value) == ("zero", "BESS-01", 0.0)


def test_one_cause_is_repeated_for_every_tag_with_the_vote_of_the_row() -> None:
    row = site_of(ROWS["I02-gas"]).interlocks[0]
    assert [each.tag for each in row.causes] == [f"IO-01.gas_ok_{at}" for at in (1, 2, 3)]
    assert row.vote == 2


def test_the_asset_is_in_every_effect_on_a_battery_and_is_the_group() -> None:
    row = site_of(ROWS["I08-unknown"]).interlocks[0]
    assert {each.asset for each in row.effects} == {"BESS-01"}
    assert row.group == "BESS-01"


def test_a_template_brings_its_monitor_with_the_rows_id_and_line() -> None:
    site = site_of(ALARM + ROWS["I12-voltage"])
    (monitor,) = site.monitors
    assert (monitor.id, monitor.kind) == ("IL-SPREAD-V", "spread")
    assert site.interlocks[1].causes[0].tag == "IL-SPREAD-V.value"
    wrong = ALARM + ROWS["I12-voltage"].replace("PCS-01.cell_voltage_min", "PCS-01.soc")
    ((problem, line),) = refused(wrong)
    assert "PCS-01.soc is in ratio; spread needs V here" in problem.problem
    assert line == wrong[: wrong.index("monitor ")].count("\n") + 1


def test_two_rows_look_at_one_monitor_by_its_tag() -> None:
    site = site_of(ROWS["I24-inhibit"] + ROWS["I24-shed"])
    assert len(site.monitors) == 1
    assert {row.causes[0].tag for row in site.interlocks} == {"IL-HEAT-INHIBIT.value"}


def test_a_wrong_tag_is_told_where_it_is_written() -> None:
    rows = ROWS["I02-gas"].replace("gas_ok_3", "gas_ok_9")
    ((problem, line),) = refused(rows)
    assert problem.problem.endswith("has no point gas_ok_9")
    assert problem.where.endswith(" IL-GAS")
    assert line == rows[: rows.index("tags")].count("\n") + 1


@pytest.mark.parametrize(
    ("before", "after", "message", "remedy"),
    [
        ('"I07-high"', '"I07-hihg"', "unknown template I07-hihg",
         "Known for I07: I07-high, I07-low."),
        ('"I07-high"', '"T07"', "unknown template T07", ""),
        ('use        = "I07-high"\n', "", "tag goes with use, and the row has none", ""),
        ('tag        = "PCS-01.soc"', 'tags       = ["PCS-01.soc", "PCS-02.soc"]',
         "vote is missing; the row has 2 causes", ""),
        ('asset      = "BESS-01"', 'asset      = "BESS-09"',
         "inhibit_charge on BESS-09, which is no battery of this site", ""),
        ('"BESS-01"\n', '"BESS-01"\nuse_ = 1\n', "unknown key use_", ""),
    ],
)  # fmt: skip
def test_a_row_that_cannot_be_taken_over_is_refused(
    before: str, after: str, message: str, remedy: str
) -> None:
    assert before in SOC
    found = refused(ALARM + SOC.replace(before, after))
    problem, line = found[0]
    assert any(each.problem == message for each, _ in found), [str(each) for each, _ in found]
    assert remedy in problem.remedy
    assert line > ALARM.count("\n")


def test_as_many_tags_as_causes_are_asked_for() -> None:
    rows = ROWS["I01-estop"].replace(', "IO-01.estop_channel_b"', "")
    ((problem, _),) = refused(ALARM + rows)
    assert problem.problem == "1 tag; I01-estop has 2 causes"
    assert problem.remedy == "Give 2 tags, in the order of the causes."


def test_an_asset_for_an_effect_on_the_site_is_refused() -> None:
    rows = ROWS["I34-cooling"] + 'asset = "BESS-01"\n'
    ((problem, _),) = refused(ALARM + rows)
    assert "no effect of I34-cooling acts on a battery" in problem.problem


def test_a_refused_template_hides_no_other_problem_and_moves_no_line() -> None:
    rows = SOC.replace('"I07-high"', '"I99-x"') + "\n" + ROWS["I10-cold"].replace(
        "cell_temperature_min", "nothing"
    )  # fmt: skip
    found = refused(rows)
    lines = {problem.problem: line for problem, line in found}
    assert lines["unknown template I99-x"] == 2
    tag = next(line for problem, line in lines.items() if problem.endswith("no point nothing"))
    assert tag == rows[: rows.index('tag        = "PCS-01.nothing')].count("\n") + 1


def test_a_whole_text_is_not_changed_by_taking_over() -> None:
    assert load_site(PATH).sha256 == load_site(PATH).sha256
    assert "I07-high" in TEXT


KEYS = ("use", "tag", "tags", "asset", "monitor", "cause", "causes", "effect", "effects", "id",
        "vote", "group", "catalogue")  # fmt: skip
VALUES = ("5", '"x"', "[]", "{}", "true", "[1, 2]", "[{}]", '["A.b"]', "{ a = 1 }", "nan")
SHAPES = ("I07-high", "I12-voltage", "I14-weld", "I02-gas", "I01-estop", "I08-unknown")


def problems_of(rows: str) -> tuple[Problem, ...]:
    """What is told of rows; nothing of sound ones."""
    try:
        site_of(rows)
    except SiteFileError as error:
        return error.problems
    return ()


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("key", KEYS)
def test_a_key_of_any_type_is_understood_or_refused_in_words(name: str, key: str) -> None:
    kept = "\n".join(line for line in ROWS[name].split("\n") if not line.startswith(f"{key} "))
    for value in VALUES:
        told = problems_of(ALARM + f"{kept}\n{key} = {value}\n")
        assert all(each.where and each.remedy for each in told), value
