"""Ed25519 keys in files: made, read, rotated. A private key that others may read is refused.

The private key is PKCS 8 in PEM, the public key beside it SubjectPublicKeyInfo in PEM; OpenSSL
reads both. A key's id is the beginning of the SHA-256 of its 32 bytes, for people to compare.

Rotation: the next key waits in `<key>.next`. At the next signed head the old key signs that this
one follows, and only then the file takes its place. The old one is kept as `<key>.<id>.old`.
"""

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from edgectl.errors import KeyFileError

OTHERS = stat.S_IRWXG | stat.S_IRWXO
PUBLIC_BYTES = 32


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key and its public half."""

    private: Ed25519PrivateKey
    public: bytes

    def sign(self, content: bytes) -> bytes:
        """64 bytes over exactly this content."""
        return self.private.sign(content)


def key_id(public: bytes) -> str:
    """How people name a key."""
    return hashlib.sha256(public).hexdigest()[:16]


def verifies(public: bytes, signature: bytes, content: bytes) -> bool:
    """Whether the signature over the content is this key's."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, content)
    except (InvalidSignature, ValueError):
        return False
    return True


def public_pem(public: bytes) -> bytes:
    """A public key as its file has it."""
    key = Ed25519PublicKey.from_public_bytes(public)
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def generate(path: Path) -> Signer:
    """Make a key pair: the private key in path, the public one in path.pub.

    Raises KeyFileError where a file is there already, or cannot be written.
    """
    private = Ed25519PrivateKey.generate()
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = private.public_key().public_bytes_raw()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        public_path(path).write_bytes(public_pem(public))
    except FileExistsError as error:
        raise KeyFileError(
            where=str(path),
            problem="there is a key already",
            because="A ledger signed with a key that is overwritten could not be gone on with.",
            remedy="Rotate it instead: edgectl key rotate.",
        ) from error
    except OSError as error:
        raise unreadable(path, f"it cannot be written: {error.strerror}") from error
    return Signer(private, public)


def public_path(path: Path) -> Path:
    """Where the public half of a private key lies."""
    return path.with_name(f"{path.name}.pub")


def next_path(path: Path) -> Path:
    """Where the key waits that will follow this one."""
    return path.with_name(f"{path.name}.next")


def load_private(path: Path) -> Signer:
    """Read a private key.

    Raises KeyFileError where others may read it, or it is not an Ed25519 key.
    """
    try:
        mode = path.stat().st_mode
        if mode & OTHERS:
            raise KeyFileError(
                where=str(path),
                problem=f"its mode is {stat.S_IMODE(mode):04o}: others may read or write it",
                because="Whoever can read the key can sign a ledger of their own making.",
                remedy=f"chmod 600 {path}; if somebody may have read it: edgectl key rotate.",
            )
        private = load_pem_private_key(path.read_bytes(), None)
    except OSError as error:
        raise unreadable(path, f"it cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise unreadable(path, "it is not a private key in PEM without a password") from error
    if not isinstance(private, Ed25519PrivateKey):
        raise unreadable(path, "it is not an Ed25519 key")
    return Signer(private, private.public_key().public_bytes_raw())


def load_public(path: Path) -> bytes:
    """Read a public key: PEM, or 64 hex digits. Raises KeyFileError where it is neither."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise unreadable(path, f"it cannot be read: {error.strerror}") from error
    try:
        text = content.decode().strip()
        if len(text) == 2 * PUBLIC_BYTES:
            return bytes.fromhex(text)
        key = load_pem_public_key(content)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise unreadable(path, "it is neither a public key in PEM nor 64 hex digits") from error
    if not isinstance(key, Ed25519PublicKey):
        raise unreadable(path, "it is not an Ed25519 key")
    return key.public_bytes_raw()


def take_next(path: Path, old: Signer) -> Signer:
    """Put the waiting key into the place of the old one, which is kept under its id.

    Safe to repeat after a crash at any point in it.
    """
    kept = path.with_name(f"{path.name}.{key_id(old.public)}.old")
    try:
        if not kept.exists():
            os.link(path, kept)
        os.replace(next_path(path), path)
        signer = load_private(path)
        public_path(path).write_bytes(public_pem(signer.public))
        public_path(next_path(path)).unlink(missing_ok=True)
    except OSError as error:
        raise unreadable(path, f"the next key cannot take its place: {error.strerror}") from error
    return signer


def unreadable(path: Path, problem: str) -> KeyFileError:
    """The error for a key file that is not as it should be."""
    return KeyFileError(
        where=str(path),
        problem=problem,
        because="Heads of the ledger are signed and checked with Ed25519 keys.",
        remedy="Make one with: edgectl key generate; export its public half: edgectl key export.",
    )
