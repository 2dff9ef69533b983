"""The parts of a site file that the ledger needs: who signs, who watches, who may ask."""

from typing import Annotated

from pydantic import Field, StringConstraints

from edgectl.profiles.schema import Section, Text
from edgectl.site_model.schema_types import Id


class LedgerSection(Section):
    """[ledger]: who signs it, and who keeps what was signed."""

    signing_key: Text | None = Field(
        default=None,
        description="The private key's file; without one a key is made beside the ledger, which "
        "guards less.",
        examples=["/etc/edgectl/demo.key"],
    )
    witnesses: Annotated[list[Text], Field(max_length=16)] = Field(
        default=[],
        description="Directories and URLs that keep each signed head; one outside the operator's "
        "hands pins the past.",
        examples=[["/mnt/auditor", "https://witness.example.org/heads"]],
    )
    technician_keys: Annotated[list[Text], Field(max_length=64)] = Field(
        default=[],
        description="Public keys of those who may state that a meter was changed, beside the "
        "ledger's own key.",
        examples=[["/etc/edgectl/technician.key.pub"]],
    )
    head_interval_s: Annotated[int, Field(ge=10, le=86_400)] = Field(
        default=3600,
        description="A head is signed at least so often; what comes after the last one is not "
        "vouched for yet.",
        examples=[3600],
    )


class TenantEntry(Section):
    """[[tenant]]: somebody whose loads are booked apart, with a proof for them alone."""

    id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")] = Field(
        description="Names the tenant in receipts and in the topics of their counters.",
        examples=["acme"],
    )
    name: Text = Field(description="What stands on the receipt.", examples=["Acme GmbH"])
    loads: Annotated[list[Id], Field(min_length=1)] = Field(
        description="The loads that are this tenant's; a load has one tenant at most.",
        examples=[["IT-A", "IT-B"]],
    )
