"""Evidence in, a verdict out."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sealwright import _sealwright
from sealwright._errors import RequestError
from sealwright._verdict import Verdict
from sealwright.facts import Demand

_LAST = 253_402_300_799
"""The last second of the year 9999, which is the last that certificates can write."""


def verify(
    evidence: bytes,
    *,
    collateral: Sequence[bytes] = (),
    roots: Mapping[str, bytes] | None = None,
    at: datetime | int | None = None,
    event_log: bytes | None = None,
    ima: bytes | None = None,
    cel: bytes | None = None,
    signature: bytes | None = None,
    pcrs: bytes | None = None,
    key: bytes | None = None,
    vtpm_quote: bytes | None = None,
    td_quote: bytes | None = None,
    require: Demand | None = None,
    without_crl: bool = False,
    max_age: timedelta | int | None = None,
) -> Verdict:
    """Says whether evidence is genuine. Evidence that is not is a verdict too, with its reason, and no exception.

    The verdict says who vouches for what. Whether it is the right machine, is for the caller to compare: the measurements and
    `debug` with what was expected, `report_data` with what a challenge asked for.

    Other threads run meanwhile.

    Args:
        evidence: Of any kind, in bytes or written as hex, base64 or, of a certificate, PEM.
        collateral: What the vendor hands out beside it, one file each: Intel's or AMD's collateral (JSON), certificates (PEM,
            DER), revocation lists (PEM, DER), a host's SEV-SNP certificate table, Hygon's HSK and CEK.
        roots: What to trust instead of the vendors' built-in roots, by a name that the facts will call it: a root certificate
            (PEM, DER) or Hygon's HRK; for a TPM its attestation key, or the root above the key's certificates; for Arm CCA a
            platform's key (JWK) or a store of them (JSON). There is nothing built in for TPMs and Arm CCA.
        at: The point in time, with its zone, or in seconds since 1970. `None` is now.
        event_log: The event log that explains the evidence's registers.
        ima: The kernel's IMA list, for a TPM's quote; for a trust domain's, beside its event log.
        cel: A canonical event log of what was measured behind the others, for a TPM's quote or a trust domain's: systemd's, or
            one in TLV, JSON or CBOR.
        signature: The signature of a TPM's quote (`TPMT_SIGNATURE`, or as `tpm2_quote -f plain` writes it).
        pcrs: The PCRs of a TPM's quote, as tpm2-tools write them.
        key: The attestation key of a TPM's quote, where several are named in `roots`.
        vtpm_quote: The vTPM's quote beside a report of Azure's paravisor (HCL): with its signature and PCRs, or `TPMS_ATTEST`
            with `signature` and `pcrs`.
        td_quote: The trust domain's quote beside a report of Azure's paravisor (HCL) that is of TDX.
        require: The worst TCB status to accept. `None` accepts any but `Revoked`. Only Intel rates platforms by a status:
            other evidence is not accepted when one is required.
        without_crl: Believe a chain of AMD's without its root's revocation list.
        max_age: The longest time since a Nitro document was made, in seconds or as a `timedelta`. `None` is five minutes.

    Raises:
        RequestError: When the request cannot be judged: what the evidence needs is missing, a file is not what it is given as.
        TypeError: When an argument is of another type.
    """
    return Verdict._from_json(
        _sealwright.verify(
            evidence,
            collateral=list(collateral),
            roots=None if roots is None else list(roots.items()),
            at=_point(at),
            event_log=event_log,
            ima=ima,
            cel=cel,
            signature=signature,
            pcrs=pcrs,
            key=key,
            vtpm_quote=vtpm_quote,
            td_quote=td_quote,
            require=require,
            without_crl=without_crl,
            max_age=_seconds(max_age),
        )
    )


def kind(evidence: bytes) -> str | None:
    """What kind of evidence these bytes are, in words (`"Intel quote"`), written as hex, base64 or, of a certificate, PEM or not; `None` when they are
    none that can be verified here. Nothing is believed by that."""
    return _sealwright.kind(evidence)


def _point(at: datetime | int | None) -> int:
    if at is None:
        return int(time.time())
    if isinstance(at, datetime):
        if at.utcoffset() is None:
            raise RequestError("a time without a zone is no point in time", "at")
        at = int(at.timestamp())
    return _within(at, "at")


def _seconds(age: timedelta | int | None) -> int | None:
    if age is None:
        return None
    return _within(int(age.total_seconds()) if isinstance(age, timedelta) else age, "max_age")


def _within(seconds: int, argument: str) -> int:
    if not isinstance(seconds, int) or isinstance(seconds, bool):
        raise TypeError(f"{argument} is a {type(seconds).__name__}, expected whole seconds")
    if not 0 <= seconds <= _LAST:
        raise RequestError(f"{seconds} seconds are out of range: 0 to {_LAST}", argument)
    return seconds
