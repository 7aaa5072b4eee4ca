"""Verify the evidence of confidential computing.

    import sealwright

    verdict = sealwright.verify(quote, collateral=[bundle])
    facts = verdict.require_accepted()

Evidence is what a machine's hardware says about what runs in it: quotes of Intel SGX and TDX, reports of AMD SEV-SNP, Hygon CSV
and NVIDIA GPUs, quotes of TPMs, evidence of Azure's guests behind a vTPM, documents of AWS Nitro, tokens of Arm CCA. Nothing is
fetched: what verification needs is an argument.
"""

from sealwright._errors import RequestError
from sealwright._sealwright import __version__
from sealwright._verdict import Reason, Refused, Verdict
from sealwright._verify import kind, verify
from sealwright.facts import Demand, Facts, TcbStatus

__all__ = [
    "Demand",
    "Facts",
    "Reason",
    "Refused",
    "RequestError",
    "TcbStatus",
    "Verdict",
    "__version__",
    "kind",
    "verify",
]
