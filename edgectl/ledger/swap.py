"""The signed statement that a meter was changed: where the old one ended and the new one began.

A technician signs it with an Ed25519 key, and it becomes a METER record word for word, so that
whoever verifies the ledger can check the signature too. What is signed is SWAP_FORM, a line feed
and the exact text of the statement.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from edgectl.errors import DataError
from edgectl.ledger.keys import Signer, verifies

SWAP_FORM = "edgectl.meter-swap/1"
DOCUMENT_BYTES_MAX = 16_384
NAME_DIGITS = 16  # of the digest, in a file's name

Kwh = Annotated[str, StringConstraints(pattern=r"^\d{1,15}(\.\d{1,9})?$")]
Words = Annotated[str, StringConstraints(min_length=1, max_length=500, strip_whitespace=True)]
Short = Annotated[str, StringConstraints(max_length=64)]


class Statement(BaseModel):
    """What somebody says of a meter that was changed.

    meter       device, or one counter of it: MTR-02, MTR-02.energy_export
    last_old, first_new   kWh, decimal digits as the meter showed them, at the primary side
    at_utc_s    when it was changed; said_utc_s when this was signed
    force       why it holds against what the counter said; empty without need
    ct_ratio    of the new meter, for the record: it is applied in the meter
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    site: Short
    meter: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,128}$")]
    last_old: Kwh
    first_new: Kwh
    at_utc_s: Annotated[int, Field(ge=0, lt=2**40)]
    said_utc_s: Annotated[int, Field(ge=0, lt=2**40)]
    by: Words
    reason: Words
    force: Annotated[str, StringConstraints(max_length=500)] = ""
    serial_old: Short = ""
    serial_new: Short = ""
    ct_ratio: Annotated[str, StringConstraints(pattern=r"^(\d{1,6}/\d{1,3})?$")] = ""

    @property
    def readings_kwh(self) -> tuple[Fraction, Fraction]:
        """Of the old meter, and of the new one."""
        return Fraction(self.last_old), Fraction(self.first_new)


@dataclass(frozen=True, slots=True)
class SignedSwap:
    """A statement's exact text, a signature over it, and whose key made it."""

    statement: str
    signature: str
    key: str

    @property
    def signed(self) -> bool:
        """Whether the signature is this key's, over this text."""
        try:
            key, signature = bytes.fromhex(self.key), bytes.fromhex(self.signature)
        except ValueError:
            return False
        return verifies(key, signature, content_of(self.statement))

    @property
    def digest(self) -> str:
        """Names it."""
        return hashlib.sha256(content_of(self.statement)).hexdigest()

    def said(self) -> Statement:
        """What it says. Raises DataError where it is none."""
        try:
            return Statement.model_validate_json(self.statement)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "statement"
            raise _refused(f"{where}: {first['msg']}") from error

    def document(self) -> bytes:
        """As its file has it."""
        return json.dumps(asdict(self)).encode()


def content_of(statement: str) -> bytes:
    """The bytes that are signed."""
    return f"{SWAP_FORM}\n{statement}".encode()


def sign_swap(said: Statement, signer: Signer) -> SignedSwap:
    """Sign a statement."""
    text = said.model_dump_json(exclude_defaults=True)
    return SignedSwap(text, signer.sign(content_of(text)).hex(), signer.public.hex())


def parse_swap(content: bytes) -> SignedSwap:
    """A statement's file. Raises DataError where it is none; it may still be signed by nobody."""
    try:
        said = json.loads(content if len(content) <= DOCUMENT_BYTES_MAX else b"")
        fields = {name: said[name] for name in ("statement", "signature", "key")}
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _refused("it has no statement, signature and key: nobody signed it") from error
    if not all(isinstance(each, str) for each in fields.values()):
        raise _refused("statement, signature and key are not all texts")
    return SignedSwap(**fields)


def swap_of(content: dict[str, Any]) -> SignedSwap:
    """The statement in a METER record."""
    return SignedSwap(content["statement"], content["signature"], content["key"])


def swaps_path(site: str, directory: Path) -> Path:
    """Where statements wait for the services, and their answers for whoever asked."""
    return directory / f"{site}.swaps"


def _refused(problem: str) -> DataError:
    return DataError(
        where="statement of a meter's change",
        problem=problem,
        because="It becomes a record that others check years later.",
        remedy="Make and sign it with: edgectl meter swap.",
    )
