"""Emission factors: published shapes read right, wrong ones refused, and which one holds."""

from fractions import Fraction

import factor_answers as answers
import pytest
from factor_answers import HOUR_NS, START_NS

from edgectl.accounting import fuel_mix
from edgectl.accounting.factor_entsoe import entsoe
from edgectl.accounting.factor_requests import SERVICES, request_for
from edgectl.accounting.factor_shapes import (
    Asked,
    Parser,
    eia_930,
    electricity_maps,
    mqtt_json,
    number,
    uk_carbon_intensity,
    utc_ns,
    watttime,
)
from edgectl.accounting.factors import Factor, FactorBook, Kind, Scope, Standing, digest
from edgectl.errors import DataError
from edgectl.site_model.check_carbon import NEEDED

READ_NS = START_NS + HOUR_NS


def asked(provider_zone: str, scope: Scope = Scope.DIRECT) -> Asked:
    return Asked("ZONE", provider_zone, scope, READ_NS)


def test_electricity_maps_latest_is_one_hour_of_its_own_kind() -> None:
    content = answers.electricity_maps()
    assert electricity_maps(content, asked("DE")) == [
        Factor(
            302_000, Kind.AVERAGE, Scope.DIRECT, "ZONE", "Electricity Maps",
            "TIME_SLICER_AVERAGE", START_NS, START_NS + HOUR_NS,
            START_NS + 2_401 * 10**9, True, digest(content),
        )
    ]  # fmt: skip


def test_electricity_maps_history_leaves_out_hours_without_a_value() -> None:
    row = answers.electricity_maps(isEstimated=False, estimationMethod=None).decode()
    empty = answers.electricity_maps(carbonIntensity=None).decode()
    (found,) = electricity_maps(
        f'{{"zone": "DE", "history": [{row}, {empty}]}}'.encode(), asked("DE")
    )
    assert (found.estimated, found.version) == (False, "measured")


def test_watttime_pounds_become_grams_and_marginal_stays_marginal() -> None:
    found = watttime(answers.watttime(), asked("CAISO_NORTH"))
    assert [each.mg_per_kwh for each in found] == [394_626, 399_162], "453.59237 g a pound, up"
    assert [each.kind for each in found] == [Kind.AVERAGE] * 2
    assert found[1].valid_to_ns - found[1].valid_from_ns == 300 * 10**9
    assert found[0].version == "model 2025-10-01"
    (marginal, _) = watttime(answers.watttime("co2_moer"), asked("CAISO_NORTH"))
    assert marginal.kind is Kind.MARGINAL


@pytest.mark.parametrize(
    ("scope", "mg_per_kwh"),
    [
        (Scope.DIRECT, Fraction(9_000 * 760 + 20_000 * 370, 40_000) * 1000),
        (Scope.LIFECYCLE,
         Fraction(9_000 * 820 + 20_000 * 490 + 5_000 * 12 + 6_000 * 11, 40_000) * 1000),
    ],
)  # fmt: skip
def test_eia_930_is_mixed_with_named_factors_and_the_unfinished_hour_is_left_out(
    scope: Scope, mg_per_kwh: Fraction
) -> None:
    (found,) = eia_930(answers.eia_930(), asked("ERCO", scope))
    assert found.mg_per_kwh == -(-mg_per_kwh.numerator // mg_per_kwh.denominator)
    assert (found.valid_from_ns, found.valid_to_ns) == (START_NS, START_NS + HOUR_NS), "hour ending"
    assert "IPCC AR5" in found.source
    assert found.version == fuel_mix.VERSION


def test_entsoe_repeats_points_of_curve_a03_and_leaves_out_pumping() -> None:
    found = entsoe(answers.entsoe(), asked(answers.ZONE))
    assert [each.mg_per_kwh for each in found] == [92_500, 92_500, 185_000, 185_000]
    assert found[0].valid_to_ns - found[0].valid_from_ns == HOUR_NS // 4
    assert found[0].published_ns == START_NS + 80 * 60 * 10**9


def test_uk_actual_comes_before_forecast_which_is_marked() -> None:
    (actual,) = uk_carbon_intensity(answers.uk(), asked("GB"))
    (forecast,) = uk_carbon_intensity(answers.uk(actual=None), asked("GB"))
    (region,) = uk_carbon_intensity(answers.uk_region(), asked("13"))
    assert [(each.mg_per_kwh, each.estimated) for each in (actual, forecast, region)] == [
        (263_000, False),
        (266_000, True),
        (98_000, True),
    ]
    assert actual.valid_to_ns - actual.valid_from_ns == HOUR_NS // 2


def test_mqtt_message_carries_its_own_source_version_and_validity() -> None:
    (found,) = mqtt_json(answers.mqtt(), asked("DE"))
    assert (found.mg_per_kwh, found.source, found.version) == (412_500, "plant historian", "7")
    assert found.valid_to_ns - found.valid_from_ns == 900 * 10**9


REFUSED: dict[str, tuple[Parser, str, bytes, str]] = {
    "not json": (electricity_maps, "DE", b"<html>", "not in the published shape"),
    "another zone": (electricity_maps, "FR", answers.electricity_maps(), "it is of zone 'DE'"),
    "negative": (electricity_maps, "DE", answers.electricity_maps(carbonIntensity=-5),
                 "-5 g/kWh for ZONE, not between 0 and 5000"),
    "absurd": (mqtt_json, "DE", answers.mqtt(g_per_kwh=1e9), "not between 0 and 5000"),
    "not a number": (mqtt_json, "DE", answers.mqtt(g_per_kwh="x"), "not in the published shape"),
    "true is no number": (mqtt_json, "DE", answers.mqtt(g_per_kwh=True), "True is no number"),
    "an exponent without end": (eia_930, "ERCO",
                                answers.eia_930([("2026-01-01T01", "NG", "1e999999999")]),
                                "no finite number"),
    "a division by nothing": (entsoe, answers.ZONE,
                              answers.entsoe([("in", "B04", "A01", {1: "1/0"})]),  # type: ignore
                              "not in the published shape"),
    "infinite": (mqtt_json, "DE", b'{"g_per_kwh": Infinity, "zone": "DE"}', "published shape"),
    "ends before it begins": (mqtt_json, "DE", answers.mqtt(valid_s=-1), "it holds from"),
    "a list": (mqtt_json, "DE", b"[]", "not in the published shape"),
    "nested without end": (mqtt_json, "DE", b"[" * 100_000, "not in the published shape"),
    "other units": (watttime, "CAISO_NORTH", answers.watttime(units="kg"), "units 'kg'"),
    "unknown signal": (watttime, "CAISO_NORTH", answers.watttime("health"), "KeyError 'health'"),
    "unknown fuel": (eia_930, "ERCO", answers.eia_930([("2026-01-01T01", "ZZ", 5)]), "'ZZ'"),
    "nothing generated": (eia_930, "ERCO", answers.eia_930([("2026-01-01T01", "SUN", -5)]),
                          "nothing was generated"),
    "no rows": (eia_930, "ERCO", b'{"response": {"data": []}}', "holds no value"),
    "no value": (uk_carbon_intensity, "GB", answers.uk(None, None), "holds no value"),
    "no XML": (entsoe, answers.ZONE, b"{}", "no XML"),
    "declined": (entsoe, answers.ZONE, answers.ENTSOE_DECLINES, "No matching data found"),
    "entities": (entsoe, answers.ZONE, b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>',
                 "declares a document type"),
    "another bidding zone": (entsoe, answers.ZONE, answers.entsoe(zone="10YFR"), "'10YFR'"),
    "too long": (entsoe, answers.ZONE, b" " * 4_000_001, "4000001 bytes"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_an_answer_that_is_not_one_is_refused_with_its_reason(name: str) -> None:
    parse, zone, content, message = REFUSED[name]
    with pytest.raises(DataError) as caught:
        parse(content, asked(zone))
    assert message in caught.value.problem
    assert "the default is booked" in caught.value.because


def factor(
    start_ns: int, mg_per_kwh: int = 300_000, published_ns: int = 0, **other: object
) -> Factor:
    fields = {
        "mg_per_kwh": mg_per_kwh, "kind": Kind.AVERAGE, "scope": Scope.DIRECT, "zone": "DE",
        "source": "s", "version": "1", "valid_from_ns": start_ns,
        "valid_to_ns": start_ns + HOUR_NS, "published_ns": published_ns, "estimated": False,
        "sha256": "",
    }  # fmt: skip
    return Factor(**{**fields, **other})  # type: ignore[arg-type]


@pytest.fixture
def book() -> FactorBook:
    return FactorBook("DE", Kind.AVERAGE, Scope.DIRECT, 700_000)


def test_a_lost_factor_is_held_for_an_hour_and_then_the_default_stands_in(book: FactorBook) -> None:
    book.take([factor(START_NS), factor(START_NS - HOUR_NS, 20_000)])
    after = START_NS + HOUR_NS
    found = [book.choose(at) for at in (START_NS, after - 1, after, after + HOUR_NS)]
    assert [(each.mg_per_kwh, each.standing) for each in found] == [
        (300_000, Standing.CURRENT),
        (300_000, Standing.CURRENT),
        (300_000, Standing.HELD),
        (300_000, Standing.HELD),
    ]
    assert found[3].age_ns == HOUR_NS
    lost = book.choose(after + HOUR_NS + 1)
    assert (lost.mg_per_kwh, lost.standing, lost.factor) == (700_000, Standing.DEFAULT, None)


def test_before_the_first_factor_the_default_stands_in_never_a_clean_one(book: FactorBook) -> None:
    assert book.choose(START_NS).standing is Standing.DEFAULT
    book.take([factor(START_NS, 0)])
    assert book.choose(START_NS - 1).mg_per_kwh == 700_000


def test_a_later_publication_replaces_and_an_earlier_one_does_not(book: FactorBook) -> None:
    book.take([factor(START_NS, 310_000, 5)])
    book.take([factor(START_NS, 290_000, 4), factor(START_NS, 320_000, 6)])
    assert book.choose(START_NS).mg_per_kwh == 320_000


@pytest.mark.parametrize(
    "other", [{"kind": Kind.MARGINAL}, {"scope": Scope.LIFECYCLE}, {"zone": "FR"}]
)
def test_marginal_lifecycle_or_another_zone_never_enters_the_book(
    book: FactorBook, other: dict[str, object]
) -> None:
    with pytest.raises(DataError, match="wanted is location average, direct, of DE"):
        book.take([factor(START_NS), factor(START_NS, **other)])
    assert book.choose(START_NS).factor is None, "nothing was taken"


def test_the_hold_can_be_shorter_than_an_hour_and_never_longer() -> None:
    book = FactorBook("DE", Kind.AVERAGE, Scope.DIRECT, 700_000, hold_ns=5 * HOUR_NS)
    book.take([factor(START_NS)])
    assert book.choose(START_NS + 2 * HOUR_NS + 1).standing is Standing.DEFAULT


@pytest.mark.parametrize("service", SERVICES)
def test_a_request_names_the_zone_and_never_shows_its_token(service: str) -> None:
    request = request_for(service, "https://host", "13", Scope.DIRECT, "s3cret", START_NS)
    assert "13" in request.url
    assert request.url.startswith(request.shown)
    assert "s3cret" not in request.shown
    sent = request.url + str(request.headers)
    assert "s3cret" in sent or service == "uk"


def test_requests_ask_what_the_services_document() -> None:
    urls = {
        service: request_for(service, "", zone, Scope.LIFECYCLE, "T", START_NS)
        for service, zone in (("electricity-maps", "DE"), ("watttime", "CAISO_NORTH"),
                              ("eia-930", "ERCO"), ("entso-e", answers.ZONE), ("uk", "GB"))
    }  # fmt: skip
    assert urls["electricity-maps"].url == (
        "/v3/carbon-intensity/latest?zone=DE&emissionFactorType=lifecycle"
    )
    assert urls["electricity-maps"].headers == {"auth-token": "T"}
    assert "region=CAISO_NORTH&signal_type=co2_aoer" in urls["watttime"].url
    assert urls["watttime"].headers == {"Authorization": "Bearer T"}
    assert "facets%5Brespondent%5D%5B%5D=ERCO" in urls["eia-930"].url
    assert "documentType=A75&processType=A16" in urls["entso-e"].url
    assert "periodStart=202512311900&periodEnd=202601010100" in urls["entso-e"].url
    assert urls["uk"].url == "/intensity"


def test_the_site_file_asks_for_a_token_where_the_service_does() -> None:
    for name, service in SERVICES.items():
        assert ("token_env" in NEEDED[name]) == service.needs_token


def test_a_number_is_taken_exactly_as_written_or_as_its_double() -> None:
    assert number("412.1") == Fraction(4121, 10)
    assert number("1e-999999999") == 0
    assert number(1e3) == 1000


def test_times_without_a_zone_are_utc() -> None:
    assert utc_ns("2026-01-01T00:00") == utc_ns("2026-01-01T01:00+01:00") == START_NS
