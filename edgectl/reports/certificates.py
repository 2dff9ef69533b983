"""Granular certificates in the shape of EnergyTag, with storage records; JSON.

A certificate is of one hour and a whole number of Wh, rounded down. What charged a battery is
a storage charge record, what it gave a discharge record; an allocation says which charge a
discharge came of, as a weighted average of what was stored. Certificates of energy that was
stored are cancelled for the storage; the discharge gets certificates of its own, for the
renewable part, less the losses. Nothing here is issued: an issuing body does that.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from edgectl.accounting.apportion import largest_remainder
from edgectl.reports.books import HOUR_S, Books
from edgectl.reports.declared import Declared
from edgectl.reports.metering import MJ_AT_1, Bounds
from edgectl.reports.mixture import PV
from edgectl.reports.words import MJ_PER_WH, iso
from edgectl.site_model import Site

FORMAT = "edgectl.certificates/1"
BEFORE = "stored before the period"
METHOD = "weighted average"


def certificates(
    books: Books, site: Site | None, declared: Declared | None = None
) -> dict[str, Any]:
    """Certificates and storage records of the period, hour by hour.

    declared   classes of meters, where they are not those of the ledger's site file
    """
    bounds = Bounds(books, site, declared or Declared())
    names = books.names
    zone = names.zone if names else ""
    production = [
        _certificate(books, site, zone, "pv", start, mj, storage=False)
        for start, hour in sorted(books.hours.items())
        if (mj := sum(mj for (source, _), mj in hour.energy_mj.items() if source == "pv"))
        >= MJ_PER_WH
    ]
    storage = [_storage(books, site, zone, name) for name in (names.storages if names else ())]
    return {
        "format": FORMAT,
        "shape": "EnergyTag granular certificates, configuration 3; to be issued by an issuer",
        "site": books.site,
        "storage_method": METHOD,
        "metering_uncertainty": _known(bounds),
        "certificates": production,
        "storage": storage,
    }


def _known(bounds: Bounds) -> dict[str, Any]:
    """Of the quantities: certificates have no field for it, and are of whole Wh."""
    return {
        "of": "each quantity of a device, relative, k = 2; rounding down to Wh comes on top",
        "expanded_ratio": {
            f"{bounds.books.site}/{name}": bounds.energy({name: MJ_AT_1}).expanded_ratio
            for name in ("pv", *bounds.storages)
        },
    }  # fmt: skip


def _certificate(
    books: Books, site: Site | None, zone: str, device: str, start_s: int, mj: int, *,
    storage: bool, efficiency: float | None = None,
) -> dict[str, Any]:  # fmt: skip
    """One bundle of an hour; its id is the hash of what it says."""
    said = {
        "device_id": f"{books.site}/{device}",
        "device_capacity_w": _capacity_w(site, device),
        "energy_carrier": "electricity",
        "energy_source": "solar" if device == "pv" else "storage",
        "technology": "photovoltaic" if device == "pv" else "battery",
        "location": None if site is None else [site.latitude_deg, site.longitude_deg],
        "issue_market_zone": zone,
        "production_starting_interval": iso(max(start_s, books.from_s)),
        "production_ending_interval": iso(min(start_s + HOUR_S, books.to_s)),
        "bundle_quantity": mj // MJ_PER_WH,
        "face_value": 1,
        "unit": "Wh",
        "emissions_factor_production_device": _pv_kg_per_mwh(books, site),
        "is_storage": storage,
        "storage_efficiency_factor": efficiency,
        "certificate_bundle_status": None,
        "usable_for_disclosure": True,
        "conversion": False,
        "issuer": None,
        "issuance_stamp": None,
        "dissemination_level": None,
    }
    text = json.dumps(said, sort_keys=True, separators=(",", ":"))
    return {"issuance_id": hashlib.sha256(text.encode()).hexdigest(), **said}


def _pv_kg_per_mwh(books: Books, site: Site | None) -> float | None:
    """g/kWh and kg/MWh are one number."""
    return None if site is None else site.carbon.pv_g_per_kwh


def _capacity_w(site: Site | None, device: str) -> float | None:
    if site is None:
        return None
    if device == "pv":
        return sum(each.rating_w for each in site.pvs) or None
    return next((each.discharge_rating_w for each in site.batteries if each.id == device), None)


def _storage(books: Books, site: Site | None, zone: str, name: str) -> dict[str, Any]:
    """Charge, discharge and allocation records of one battery."""
    eta = _efficiency(site, name)
    held: dict[str, int] = {}  # stored mJ by charge record
    renewable: dict[str, tuple[int, int]] = {BEFORE: (0, 1)}
    scrs, sdrs, allocated, issued = [], [], [], []
    first = books.stocks.get(name)
    if first is not None and first.begin_mj:
        held[BEFORE] = first.begin_mj
    for start, hour in sorted(books.hours.items()):
        given_mj = sum(mj for (source, _), mj in hour.energy_mj.items() if source == name)
        taken = {source: mj for (source, sink), mj in hour.energy_mj.items() if sink == name}
        if given_mj >= MJ_PER_WH:
            sdr = f"{name}/discharge/{iso(start)}"
            shares = _draw(held, int(given_mj / eta[1]))
            split = largest_remainder(given_mj, list(shares.values()))
            allocated += _allocations(sdr, dict(zip(shares, split, strict=True)), given_mj, eta,
                                      start, books)  # fmt: skip
            clean_mj = sum(
                part * renewable[scr][0] // renewable[scr][1]
                for scr, part in zip(shares, split, strict=True)
            )
            sdrs.append(_flow(sdr, start, given_mj, books, charging=False))
            if clean_mj >= MJ_PER_WH:
                issued.append(_certificate(books, site, zone, name, start, clean_mj, storage=True,
                                           efficiency=eta[0] * eta[1]))  # fmt: skip
        taken_mj = sum(taken.values())
        if taken_mj >= MJ_PER_WH:
            scr = f"{name}/charge/{iso(start)}"
            held[scr] = int(taken_mj * eta[0])
            renewable[scr] = (taken.get(PV, 0), taken_mj)
            scrs.append(
                _flow(scr, start, taken_mj, books, charging=True)
                | {"certificates_cancelled_wh": taken.get(PV, 0) // MJ_PER_WH}
            )
    return {
        "device_id": f"{books.site}/{name}",
        "storage_efficiency_factor": eta[0] * eta[1],
        "efficiency_factor_methodology": "efficiencies of the site file"
        if site else "no site file was given: 1",
        "charge_records": scrs, "discharge_records": sdrs, "allocated": allocated,
        "certificates": issued,
    }  # fmt: skip


def _efficiency(site: Site | None, name: str) -> tuple[float, float]:
    found = [each for each in site.batteries if each.id == name] if site else []
    return (found[0].charge_efficiency, found[0].discharge_efficiency) if found else (1.0, 1.0)


def _draw(held: dict[str, int], stored_mj: int) -> Mapping[str, int]:
    """Take stored energy out of every charge record alike; the weights it came in."""
    weights = {scr: mj for scr, mj in held.items() if mj > 0} or {BEFORE: 1}
    whole_mj = sum(held.values())
    taken_mj = min(stored_mj, whole_mj)
    if taken_mj:
        parts = largest_remainder(whole_mj - taken_mj, list(held.values()))
        left = dict(zip(list(held), parts, strict=True))
        held.clear()
        held.update({scr: mj for scr, mj in left.items() if mj >= MJ_PER_WH})
    return weights


def _flow(name: str, start_s: int, mj: int, books: Books, *, charging: bool) -> dict[str, Any]:
    return {
        "id": name,
        "flow_start": iso(max(start_s, books.from_s)),
        "flow_end": iso(min(start_s + HOUR_S, books.to_s)),
        "flow_energy": mj // MJ_PER_WH,
        "unit": "Wh",
        "is_charging": charging,
    }


def _allocations(
    sdr: str, parts: Mapping[str, int], given_mj: int, eta: tuple[float, float], start_s: int,
    books: Books,
) -> list[dict[str, Any]]:  # fmt: skip
    """Which charge each part of a discharge came of; less than a Wh is not told."""
    return [
        {
            "sdr_id": sdr, "scr_id": scr, "sdr_proportion": mj / given_mj,
            "energy_wh": mj // MJ_PER_WH,
            "scr_allocation_methodology": METHOD,
            "efficiency_factor_methodology": "charging times discharging efficiency",
            "interval_start": iso(max(start_s, books.from_s)),
            "interval_end": iso(min(start_s + HOUR_S, books.to_s)),
            "storage_efficiency_factor": eta[0] * eta[1],
            "gc_id": None, "sdgc_id": None,
        }
        for scr, mj in parts.items() if mj >= MJ_PER_WH
    ]  # fmt: skip
