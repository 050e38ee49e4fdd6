"""What an engine's store may hold of a patient: envelopes that only DAMS opens, and ids that say nothing.

An envelope is AES-256-GCM (NIST SP 800-38D) with a random 96-bit nonce: version, key id, nonce, ciphertext and tag.
Keys come from `security.envelope_key`, or from `security.secret_key` where none is set; retired keys still open.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
from functools import lru_cache
from typing import Any

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from app.core.errors import DamsError
from app.core.settings import settings

MARK = "$enc"
"""The one member of a JSON object that stands for a sealed value."""
VERSION, ID_BYTES, NONCE_BYTES = b"\x01", 4, 12


class Unreadable(DamsError):
    """What came back from an engine cannot be opened with the keys of this service"""

    code, status = "unreadable", 500


def seal(plain: bytes, purpose: str) -> bytes:
    """*plain* in an envelope that opens only for the same *purpose*."""
    key_id, key = _newest()
    nonce = os.urandom(NONCE_BYTES)
    return VERSION + key_id + nonce + AESGCM(key).encrypt(nonce, plain, purpose.encode())


def unseal(sealed: bytes, purpose: str) -> bytes:
    """What is in the envelope. Raises :class:`Unreadable` for a foreign key, another purpose or a changed byte."""
    head = len(VERSION) + ID_BYTES
    key = _keys().get(sealed[len(VERSION) : head])
    if sealed[: len(VERSION)] != VERSION or key is None:
        raise Unreadable("The envelope was sealed with a key that this service does not have.")
    try:
        return AESGCM(key).decrypt(sealed[head : head + NONCE_BYTES], sealed[head + NONCE_BYTES :], purpose.encode())
    except (InvalidTag, ValueError) as error:
        raise Unreadable("The envelope was changed or belongs to something else.") from error


def seal_value(value: Any, purpose: str) -> dict[str, str]:
    """A JSON value as ``{"$enc": …}``, for engines that keep variables as JSON."""
    return {MARK: base64.b64encode(seal(orjson.dumps(value), purpose)).decode()}


def unseal_value(value: Any, purpose: str) -> Any:
    """The value in ``{"$enc": …}``; any other value as it is. Raises :class:`Unreadable`."""
    if not is_sealed(value):
        return value
    try:
        return orjson.loads(unseal(base64.b64decode(value[MARK], validate=True), purpose))
    except (binascii.Error, TypeError) as error:
        raise Unreadable("The envelope is no base64 text.") from error


def is_sealed(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() == {MARK}


def opaque(kind: str, name: str) -> str:
    """An id for *name* that is always the same and from which nobody without the key learns the name.

    It is made with the oldest key, so a new key does not change the ids of what runs.
    """
    oldest = _secrets()[-1]
    digest = hmac.new(_derived(oldest, "ids"), f"{kind}\0{name}".encode(), hashlib.sha256).hexdigest()
    return f"{kind}-{digest[:32]}"


def _secrets() -> tuple[str, ...]:
    security = settings().security
    retired = security.retired_envelope_keys.get_secret_value().split()
    return (security.envelope_key.get_secret_value() or security.secret_key.get_secret_value(), *retired)


def _newest() -> tuple[bytes, bytes]:
    return next(iter(_keys().items()))


def _keys() -> dict[bytes, bytes]:
    return _keys_of(_secrets())


@lru_cache(maxsize=4)
def _keys_of(secrets: tuple[str, ...]) -> dict[bytes, bytes]:
    keys = [_derived(secret, "envelopes") for secret in secrets]
    return {hashlib.sha256(key).digest()[:ID_BYTES]: key for key in keys}


@lru_cache(maxsize=8)
def _derived(secret: str, use: str) -> bytes:
    """A key of 32 bytes for one use (HKDF, RFC 5869), so that ids and envelopes never share one."""
    return HKDF(SHA256(), 32, None, f"dams {use}".encode()).derive(secret.encode())
