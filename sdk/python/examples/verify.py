"""Is this evidence genuine, and is it what I asked for?

usage: verify.py EVIDENCE REPORT_DATA COLLATERAL..., REPORT_DATA being the hex that the challenge wants in the evidence
"""

import hmac
import sys
from pathlib import Path

import sealwright


def main(evidence: str, report_data: str, *collateral: str) -> int:
    files = [Path(name).read_bytes() for name in collateral]
    try:
        verdict = sealwright.verify(Path(evidence).read_bytes(), collateral=files, require="UpToDate")
        facts = verdict.require_accepted()
    except sealwright.RequestError as error:
        print(f"cannot say: {error}")
        return 2
    except sealwright.Refused as refused:
        print(refused)
        return 1
    if facts.get("debug"):
        print("no: its host can look inside")
        return 1
    if not hmac.compare_digest(bytes.fromhex(facts["report_data"]), bytes.fromhex(report_data)):
        print(f"no: it answers another challenge, {facts['report_data']}")
        return 1
    print(verdict)
    if "tdx" in facts:
        print("MRTD", facts["tdx"]["mrtd"])
    return 0


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
