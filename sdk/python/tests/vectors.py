"""The public test vectors, and what is right about them."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple, cast

import sealwright

ROOT = Path(os.environ["SEALWRIGHT_VECTORS"])
assert ROOT.is_dir(), f"SEALWRIGHT_VECTORS names {ROOT}, which is no folder"

TABLE = Path(__file__).parents[3] / "crates/cli/tests/vectors.json"
"""The cases of the command line, which are the cases of this package."""


def read(name: str) -> bytes:
    return (ROOT / name).read_bytes()


@dataclass
class Case:
    """Evidence, what is given beside it, and the right answer; the members are those of the table."""

    evidence: str
    at: int
    exit: int
    collateral: List[str] = field(default_factory=list)
    anchors: List[str] = field(default_factory=list)
    signature: Optional[str] = None
    pcrs: Optional[str] = None
    event_log: Optional[str] = None
    ima: Optional[str] = None
    cel: Optional[str] = None
    vtpm_quote: Optional[str] = None
    td_quote: Optional[str] = None
    words: List[str] = field(default_factory=list)
    tee: Optional[str] = None
    facts: Dict[str, Any] = field(default_factory=dict)
    code: Optional[str] = None

    def verify(self) -> sealwright.Verdict:
        return sealwright.verify(read(self.evidence), **self.arguments())

    def arguments(self) -> Dict[str, Any]:
        arguments: Dict[str, Any] = {
            "at": self.at,
            "collateral": [read(name) for name in self.collateral],
            "roots": {Path(name).stem: read(name) for name in self.anchors} or None,
            "signature": self.signature and read(self.signature),
            "pcrs": self.pcrs and read(self.pcrs),
            "event_log": self.event_log and read(self.event_log),
            "ima": self.ima and read(self.ima),
            "cel": self.cel and read(self.cel),
            "vtpm_quote": self.vtpm_quote and read(self.vtpm_quote),
            "td_quote": self.td_quote and read(self.td_quote),
        }
        words = iter(self.words)
        for word in words:
            if word == "--without-crl":
                arguments["without_crl"] = True
            elif word == "--require":
                arguments["require"] = next(words)
            elif word == "--max-age":
                arguments["max_age"] = int(next(words))
            else:
                raise ValueError(f"{word} is new: say what it is")
        return arguments


CASES = [Case(**members) for members in json.loads(TABLE.read_text())["verify"]]


@dataclass
class Quote:
    """A quote that Intel signed."""

    quote: bytes
    collateral: bytes
    now: int
    status: str
    advisories: List[str]

    def verify(self, quote: Optional[bytes] = None, **arguments: Any) -> sealwright.Verdict:
        arguments = {"at": self.now, "collateral": [self.collateral], **arguments}
        return sealwright.verify(self.quote if quote is None else quote, **arguments)


def _quote(folder: str, name: str) -> Quote:
    answers = cast(Dict[str, Any], json.loads(read("quote/expected.json")))[folder]
    below = f"quote/{folder}"
    return Quote(
        quote=read(f"{below}/{name}"),
        collateral=read(f"{below}/collateral.json"),
        now=answers["now"],
        status=answers["status"],
        advisories=answers["advisories"],
    )


SGX = _quote("sgx/dcap-qvl-sgx-quote", "sgx_quote")
TDX = _quote("tdx/dcap-qvl-tdx-quote", "tdx_quote")

_SIMULATED = "quote/tdx/simulated"
SIMULATED: Tuple[bytes, bytes, bytes, int] = (
    read(f"{_SIMULATED}/q4"),
    read(f"{_SIMULATED}/col.json"),
    read(f"{_SIMULATED}/root.der"),
    1795132800,
)
"""A quote, its collateral, its root and a time."""
