from typing import Final, Optional

__all__ = ["__version__", "kind", "verify"]

__version__: Final[str]

def kind(evidence: bytes) -> Optional[str]: ...
def verify(
    evidence: bytes,
    *,
    collateral: list[bytes],
    roots: Optional[list[tuple[str, bytes]]],
    at: int,
    event_log: Optional[bytes],
    ima: Optional[bytes],
    cel: Optional[bytes],
    signature: Optional[bytes],
    pcrs: Optional[bytes],
    key: Optional[bytes],
    vtpm_quote: Optional[bytes],
    td_quote: Optional[bytes],
    require: Optional[str],
    without_crl: bool,
    max_age: Optional[int],
) -> str: ...
