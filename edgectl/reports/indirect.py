"""The indirect-emissions part of a CBAM-style report as XML, held against the transitional schema.

Only for a covered good that is made behind these meters: compute is none. The codes are the
operator's to declare; nothing is filled in for them.
"""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from edgectl.accounting.cbam import Embedded, Good, embedded, megawatt_hours, rounded, tonnes
from edgectl.reports.declared import Declared
from edgectl.reports.extras import need
from edgectl.reports.figures import Balance

NAMESPACE = "http://xmlns.ec.eu/BusinessObjects/CBAM/Types/V1"
NO_GOOD = "no covered good is declared ([cbam_good]): data-centre services are not CBAM goods today"
WRAPPER = """<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns="{ns}"
  targetNamespace="{ns}" elementFormDefault="qualified"><xs:include schemaLocation="{name}"/>
  <xs:element name="IndirectEmissions" type="IndirectEmissionsType"/></xs:schema>"""


@dataclass(frozen=True, slots=True)
class Indirect:
    """The part, or why there is none, and what the schema says of it."""

    xml: bytes | None
    said: str
    valid: bool | None


def indirect(balance: Balance, declared: Declared, schema: Path | None) -> Indirect:
    """Make the part and hold it against the schema.

    schema   QReport_v19.00.xsd with its stypes beside it; None: not validated, and said so
    """
    good = declared.cbam_good
    if good is None:
        return Indirect(None, NO_GOOD, None)
    whole = Good(
        Fraction(str(good.produced_t)), Fraction(0), megawatt_hours(balance.facility_mj),
        _factor(balance),
    )  # fmt: skip
    xml = _xml(declared, whole, embedded(whole))
    if schema is None:
        return Indirect(xml, "NOT VALIDATED: no schema was given (--cbam-xsd)", None)
    if not schema.is_file():
        return Indirect(xml, f"NOT VALIDATED: {schema.name} is not there", None)
    errors = schema_errors(xml, schema)
    said = f"valid against {schema.name}" if not errors else f"NOT VALID: {'; '.join(errors)}"
    return Indirect(xml, said, not errors)


def _factor(balance: Balance) -> Fraction:
    energy = megawatt_hours(balance.facility_mj)
    return tonnes(balance.used_ug) / energy if energy else Fraction(0)


def _xml(declared: Declared, whole: Good, result: Embedded) -> bytes:
    etree = need("lxml.etree", "the CBAM-style XML")
    good = declared.cbam_good
    assert good is not None, "the caller has one"
    root = etree.Element(f"{{{NAMESPACE}}}IndirectEmissions", nsmap={None: NAMESPACE})
    values = (
        ("DeterminationType", good.determination_type),
        ("EmissionFactorSource", good.emission_factor_source),
        ("EmissionFactor", str(rounded(whole.factor_t_per_mwh))),
        ("SpecificEmbeddedEmissions", str(rounded(result.indirect))),
        ("MeasurementUnit", good.measurement_unit),
        ("ElectricityConsumed", str(rounded(result.electricity_mwh_per_t, 2))),
        ("ElectricitySource", good.electricity_source),
        ("EmissionFactorSourceValue", declared.factors.source or "the site's ledger"),
    )
    for name, value in values:
        etree.SubElement(root, f"{{{NAMESPACE}}}{name}").text = value
    xml: bytes = etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True)
    return xml


def schema_errors(xml: bytes, schema: Path) -> list[str]:
    """What the schema says against the part; the part's type is made an element of its own."""
    etree = need("lxml.etree", "the CBAM-style XML")
    wrapper = WRAPPER.format(ns=NAMESPACE, name=schema.name).encode()
    base = schema.with_name("indirect.xsd").absolute().as_uri()
    checked = etree.XMLSchema(etree.fromstring(wrapper, base_url=base))
    checked.validate(etree.fromstring(xml))
    return [f"line {each.line}: {each.message}" for each in checked.error_log]
