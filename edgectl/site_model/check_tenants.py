"""Tenants of a site file: each of their loads exists and is theirs alone."""

from edgectl.profiles.problems import RANK_REFERENCE, RANK_VALUE, did_you_mean
from edgectl.site_model.context import Context

TENANTS_MAX = 64  # of a site; each costs the ledger a hash a second


def check_tenants(context: Context) -> None:
    """Report every tenant that is named twice, and every load that is not there or not free."""
    file = context.file
    loads = [each.id for each in file.load]
    owners: dict[str, str] = {}
    seen: set[str] = set()
    if len(file.tenant) > TENANTS_MAX:
        context.report.add(
            ("tenant", TENANTS_MAX, "id"),
            f"{len(file.tenant)} tenants; there can be {TENANTS_MAX}",
            "Each second is booked for every tenant apart.",
            "Join tenants, or split the site.",
            RANK_VALUE,
        )
    for at, tenant in enumerate(file.tenant):
        if tenant.id in seen:
            context.report.add(
                ("tenant", at, "id"),
                f"a second tenant {tenant.id}",
                "A receipt names its tenant by this id alone.",
                "Give each tenant an id of its own.",
                RANK_REFERENCE,
            )
        seen.add(tenant.id)
        for load in tenant.loads:
            if load not in loads and load not in context.broken:
                context.report.add(
                    ("tenant", at, "loads"),
                    f"tenant {tenant.id} has load {load}, which the site does not have",
                    "What is not metered cannot be booked for anybody.",
                    did_you_mean(load, loads),
                    RANK_REFERENCE,
                )
            elif load in owners:
                context.report.add(
                    ("tenant", at, "loads"),
                    f"load {load} is {owners[load]}'s and {tenant.id}'s",
                    "Its energy and carbon would be on two receipts.",
                    "Give it to one of them, or meter it apart.",
                    RANK_REFERENCE,
                )
            owners.setdefault(load, tenant.id)
