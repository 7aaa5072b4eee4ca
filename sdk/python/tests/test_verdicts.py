"""The verdicts on evidence that real machines made."""

from __future__ import annotations

import copy
import json
import pickle
from datetime import datetime, timedelta, timezone

import pytest
import sealwright
from vectors import CASES, SGX, SIMULATED, TDX, Case, Quote, read


def pointed(document: object, pointer: str) -> object:
    for member in pointer.split("/")[1:]:
        assert isinstance(document, dict), pointer
        document = document[member]
    return document


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.evidence} {case.code or case.exit}")
def test_public_evidence_of_every_kind_gets_its_right_answer(case: Case) -> None:
    verdict = case.verify()
    assert verdict.accepted == (case.exit == 0), verdict
    assert verdict.genuine == (case.tee is not None)
    if case.tee is not None:
        assert verdict.facts is not None and verdict.reason is None
        assert verdict.facts["tee"] == case.tee
    for pointer, wanted in case.facts.items():
        assert pointed(verdict.facts, pointer) == wanted, pointer
    if case.code is not None:
        assert verdict.facts is None and verdict.reason is not None
        assert verdict.reason.code == case.code


def test_the_table_has_every_kind_that_is_told_apart() -> None:
    # Some cases are of no kind, and refused for that.
    kinds = {sealwright.kind(read(case.evidence)) for case in CASES} - {None}
    assert len(kinds) == 13, kinds


@pytest.mark.parametrize("quote", [SGX, TDX], ids=["sgx", "tdx"])
def test_intel_signed_quotes_are_genuine_at_their_status_with_their_advisories(quote: Quote) -> None:
    facts = quote.verify().require_accepted()
    assert facts["tcb"]["status"] == quote.status
    assert facts["tcb"]["advisories"] == quote.advisories
    assert facts["anchor"]["kind"] == "vendor"
    assert not facts["debug"]


@pytest.mark.parametrize("quote", [SGX, TDX], ids=["sgx", "tdx"])
def test_a_required_status_is_stricter(quote: Quote) -> None:
    assert quote.verify(require=quote.status).accepted
    verdict = quote.verify(require="UpToDate")
    assert verdict.genuine
    assert verdict.accepted == (quote.status == "UpToDate")
    if not verdict.accepted:
        with pytest.raises(sealwright.Refused, match=f"at TCB status {quote.status}"):
            verdict.require_accepted()


@pytest.mark.parametrize("quote", [SGX, TDX], ids=["sgx", "tdx"])
def test_a_flipped_byte_another_time_and_another_root_are_refused_with_the_reason(quote: Quote) -> None:
    def code(verdict: sealwright.Verdict) -> str:
        assert not verdict.genuine and not verdict.accepted and verdict.facts is None
        assert verdict.reason is not None
        return verdict.reason.code

    flipped = bytearray(quote.quote)
    flipped[60] ^= 1
    assert code(quote.verify(bytes(flipped))) == "quote-signature"
    year = 366 * 86_400
    assert code(quote.verify(at=quote.now + year)) == "collateral-expired"
    assert code(quote.verify(at=quote.now - year)) == "collateral-not-yet-valid"
    assert code(quote.verify(roots={"another": SIMULATED[2]})) == "untrusted-root"


def test_no_byte_of_a_quote_before_its_certificates_can_be_changed() -> None:
    for place in range(0, 632 + 4 + 64 + 64, 7):
        flipped = bytearray(TDX.quote)
        flipped[place] ^= 0x80
        assert not TDX.verify(bytes(flipped)).genuine, place


def test_evidence_written_as_text_is_the_same_evidence() -> None:
    assert TDX.verify(TDX.quote.hex().encode()) == TDX.verify()
    assert sealwright.kind(TDX.quote.hex().encode()) == sealwright.kind(TDX.quote) == "Intel quote"


def test_what_is_no_evidence_is_refused_with_a_reason() -> None:
    for nothing in [b"", b"\0", b"no evidence", TDX.quote[:100]]:
        verdict = TDX.verify(nothing)
        assert verdict.reason is not None and verdict.reason.code and verdict.reason.remedy, nothing
        assert verdict.simulated is None
    assert sealwright.kind(b"") is None


def test_a_simulation_says_so_in_its_first_words() -> None:
    quote, collateral, root, at = SIMULATED
    verdict = sealwright.verify(quote, collateral=[collateral], roots={"site": root}, at=at)
    assert verdict.accepted
    # The root in the vectors is the one of another project, which does not say that it is a simulation.
    assert verdict.simulated is False and not str(verdict).startswith("SIMULATED")
    simulated = sealwright.Verdict._from_json(verdict.json.replace('"simulated":false', '"simulated":true'))
    assert str(simulated).startswith("SIMULATED: yes") and "SIMULATED" in repr(simulated)


def test_a_point_in_time_has_a_zone_or_is_seconds() -> None:
    there = timezone(timedelta(hours=-7))
    at = datetime.fromtimestamp(TDX.now, there)
    assert TDX.verify(at=at) == TDX.verify()
    # Now, which is long after this collateral.
    now = TDX.verify(at=None)
    assert now.reason is not None and now.reason.code == "collateral-expired"


def test_a_document_s_age_is_seconds_or_a_timedelta() -> None:
    document, made = read("appraise/nitro/aws.bin"), 1734075478
    for age in (3600, timedelta(hours=1)):
        assert sealwright.verify(document, at=made + 600, max_age=age).accepted
    late = sealwright.verify(document, at=made + 600)
    assert late.reason is not None and late.reason.code == "evidence-expired"


def test_an_event_log_is_held_against_the_registers() -> None:
    # Of another machine: none of its registers is what the log replays to.
    verdict = TDX.verify(event_log=read("eventlog/ccel/trustee/CCEL_data"))
    assert not verdict.genuine and verdict.reason is not None
    assert verdict.reason.expected and verdict.reason.actual, verdict


def test_verdicts_are_values() -> None:
    verdict, refused = TDX.verify(), TDX.verify(at=0)
    assert verdict == TDX.verify() and hash(verdict) == hash(TDX.verify()) and verdict != refused
    assert pickle.loads(pickle.dumps(verdict)) == copy.deepcopy(verdict) == verdict
    assert json.loads(verdict.json)["facts"] == verdict.facts
    with pytest.raises(AttributeError):
        verdict.accepted = True  # type: ignore[misc]


def test_a_verdict_can_only_be_asked_by_name() -> None:
    for verdict in (TDX.verify(), TDX.verify(at=0)):
        with pytest.raises(TypeError, match="no truth value"):
            bool(verdict)
        with pytest.raises(TypeError, match="no truth value"):
            assert not verdict


def test_a_refusal_is_raised_with_its_reason_and_remedy() -> None:
    verdict = TDX.verify(at=0)
    with pytest.raises(sealwright.Refused) as raised:
        verdict.require_accepted()
    assert raised.value.verdict == verdict
    assert verdict.reason is not None
    for part in (verdict.reason.code, verdict.reason.message, verdict.reason.remedy):
        assert part in str(raised.value)
    assert str(pickle.loads(pickle.dumps(raised.value))) == str(raised.value)


def test_text_from_outside_cannot_steer_a_terminal() -> None:
    reason = {"code": "c", "claim": "c", "message": "\x1b[2J\u202ename", "remedy": "r"}
    verdict = sealwright.Verdict._from_json(json.dumps({"genuine": False, "accepted": False, "reason": reason}))
    assert str(verdict) == r"no: \u{1b}[2J\u{202e}name [c]"
    assert str(verdict).isprintable() and str(sealwright.Refused(verdict)).isprintable()
