"""What an operator declares beside the ledger: contracts, water, meters' classes, names.

One TOML file, schema edgectl.reporting/1; every key may be absent, and what is absent is
printed as "not declared", never guessed. Unknown keys are refused.
"""

import csv
import tomllib
from datetime import UTC, date, datetime
from fractions import Fraction
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edgectl.accounting.kpi import PueCategory
from edgectl.accounting.scope2 import HOUR_NS, Instrument, Lot
from edgectl.accounting.uncertainty import CT_LIMIT_RATIO, METER_LIMIT_RATIO
from edgectl.errors import ReportError

MJ_PER_KWH = 3_600_000_000
NS_PER_S = 1_000_000_000
Positive = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Ratio = Annotated[float, Field(ge=0, le=1)]
Intensity = Annotated[float, Field(ge=0, le=5_000)]
Category = Literal["ups output", "pdu output", "it input"]
CATEGORIES = {
    "ups output": PueCategory.UPS_OUTPUT,
    "pdu output": PueCategory.PDU_OUTPUT,
    "it input": PueCategory.IT_INPUT,
}


class Part(BaseModel):
    """A section; a key it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Operator(Part):
    """[operator]: who reports, and where the site is."""

    name: str | None = None
    owner: str | None = None
    contact: str | None = None
    location_code: str | None = None  # LAU
    type: str | None = None
    operation_since: date | None = None
    redundancy: str | None = None


class Period(Part):
    """[period]: what was metered elsewhere, of the reported period as a whole."""

    water_m3: Positive | None = None
    potable_water_m3: Positive | None = None
    heat_reused_kwh: Positive | None = None
    backup_kwh: Positive | None = None


class Pue(Part):
    """[pue]: where IT energy is metered."""

    category: Category | None = None


class Factors(Part):
    """[factors]: intensities and what is known of the one in the ledger."""

    source: str | None = None
    version: str | None = None
    sha256: str | None = None
    residual_g_per_kwh: Intensity | None = None
    residual_source: str | None = None
    residual_standard_uncertainty_ratio: Ratio | None = None
    marginal_g_per_kwh: Intensity | None = None
    marginal_source: str | None = None
    marginal_standard_uncertainty_ratio: Ratio | None = None
    grid_clean_ratio: Ratio | None = None
    grid_clean_standard_uncertainty_ratio: Ratio | None = None
    standard_uncertainty_ratio: Ratio | None = None


class Renewable(Part):
    """[renewable]: what becomes of the certificates of on-site generation."""

    onsite_certificates: Literal["none issued", "cancelled", "sold"] | None = None


class Meter(Part):
    """[[meter]]: one metering point's class and calibration."""

    device: str
    accuracy_class: str
    transformer_class: str = "none"
    serial: str | None = None
    calibrated: date | None = None
    calibration_due: date | None = None
    certificate: str | None = None


class Contract(Part):
    """[[contract]]: energy delivered hour by hour, inline or in a CSV file beside this one."""

    id: str
    instrument: Literal["on_site", "ppa", "guarantee", "supplier"]
    issuer: str
    generator: str
    market: str
    g_per_kwh: Intensity
    standard_uncertainty_ratio: Ratio | None = None  # of g_per_kwh
    renewable: bool = True
    cancelled: bool = True
    deliveries: list[tuple[datetime, Positive]] = []
    file: str | None = None


class Embodied(Part):
    """[[embodied]]: emissions of a tenant's equipment, for SCI's M."""

    tenant: str
    total_g: Positive
    life_s: Annotated[float, Field(gt=0)]
    share: Ratio = 1.0
    standard_uncertainty_ratio: Ratio | None = None  # of all of it


class Counter(Part):
    """[[counter]]: how well a count of a tenant's compute is known, where it is no exact one."""

    name: str
    source: str | None = None  # of every source without
    tenant: str | None = None  # of every tenant without
    standard_uncertainty_ratio: Ratio


class Good(Part):
    """[cbam_good]: a covered good that is made behind these meters, if there is one."""

    cn_code: str
    description: str
    produced_t: Annotated[float, Field(gt=0)]
    determination_type: str
    emission_factor_source: str
    electricity_source: str
    measurement_unit: str


class Evidence(Part):
    """[evidence]: what the monitoring plan says of people and procedures."""

    plan_version: str | None = None
    responsible: str | None = None
    boundary: str | None = None
    procedures: str | None = None


class Declared(Part):
    """The whole file."""

    schema_: Literal["edgectl.reporting/1"] = Field(alias="schema", default="edgectl.reporting/1")
    operator: Operator = Operator()
    period: Period = Period()
    pue: Pue = Pue()
    factors: Factors = Factors()
    renewable: Renewable = Renewable()
    meter: list[Meter] = []
    contract: list[Contract] = []
    embodied: list[Embodied] = []
    counter: list[Counter] = []
    indicator: dict[str, float | str] = {}
    cbam_good: Good | None = None
    evidence: Evidence = Evidence()

    def meter_of(self, device: str) -> Meter | None:
        """What is declared of a device."""
        return next((each for each in self.meter if each.device == device), None)

    def counter_u_ratio(self, tenant: str, name: str, source: str) -> float | None:
        """Of a count: the first [[counter]] that fits it; None where it counts as exact."""
        return next(
            (each.standard_uncertainty_ratio for each in self.counter
             if each.name == name and each.source in (None, source)
             and each.tenant in (None, tenant)), None
        )  # fmt: skip


def load_declared(path: Path | None) -> tuple[Declared, str | None]:
    """The file and its SHA-256; nothing declared where there is none. Raises ReportError."""
    if path is None:
        return Declared(), None
    try:
        content = path.read_bytes()
        declared = Declared.model_validate(tomllib.loads(content.decode()))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise _refused(str(path), str(error)) from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(each) for each in first["loc"])
        raise _refused(f"{path}, {place}", first["msg"]) from error
    for each in declared.meter:
        if each.accuracy_class not in METER_LIMIT_RATIO:
            raise _refused(f"{path}, meter {each.device}",
                           f"class {each.accuracy_class!r}; known are "
                           f"{', '.join(METER_LIMIT_RATIO)}")  # fmt: skip
        if each.transformer_class not in CT_LIMIT_RATIO:
            raise _refused(f"{path}, meter {each.device}",
                           f"transformer class {each.transformer_class!r}; known are "
                           f"{', '.join(CT_LIMIT_RATIO)}")  # fmt: skip
    return declared, sha256(content).hexdigest()


def lots_of(declared: Declared, beside: Path | None) -> list[Lot]:
    """Deliveries of all contracts as lots of an hour each.

    beside   folder in which the contracts' files are

    Raises DataError for a delivery that can claim nothing, ReportError for an unreadable file.
    """
    return [
        _lot(contract, when, energy)
        for contract in declared.contract
        for when, energy in [*contract.deliveries, *_from_file(contract, beside)]
    ]


def _lot(contract: Contract, when: datetime, delivered_kwh: float) -> Lot:
    aware = when if when.tzinfo else when.replace(tzinfo=UTC)
    start_ns = int(aware.timestamp()) * NS_PER_S
    return Lot(
        contract.id, Instrument[contract.instrument.upper()], contract.issuer, contract.generator,
        contract.market, start_ns, start_ns + HOUR_NS,
        int(Fraction(str(delivered_kwh)) * MJ_PER_KWH), round(contract.g_per_kwh * 1000),
        cancelled=contract.cancelled,
    )  # fmt: skip


def _from_file(contract: Contract, beside: Path | None) -> list[tuple[datetime, float]]:
    """Rows of a CSV with the columns start_utc and kwh."""
    if contract.file is None:
        return []
    path = (beside or Path()) / contract.file
    try:
        with path.open(newline="") as file:
            return [
                (datetime.fromisoformat(row["start_utc"]), float(row["kwh"]))
                for row in csv.DictReader(file)
            ]
    except (OSError, KeyError, ValueError) as error:
        raise _refused(f"{path}, contract {contract.id}", f"{error}") from error


def _refused(where: str, problem: str) -> ReportError:
    return ReportError(
        where=where,
        problem=problem,
        because="What is declared stands in the report beside what was measured.",
        remedy="Correct the file; docs/reports.md lists every key.",
    )
