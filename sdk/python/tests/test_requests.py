"""Requests that cannot be judged, and what else callers get wrong."""

from __future__ import annotations

import pickle
from datetime import datetime
from typing import Any, get_args

import pytest
import sealwright
from vectors import TDX, read

SWTPM = {"at": TDX.now, "roots": {"ak": read("tpm-quote/swtpm/ak.pem")}}


@pytest.mark.parametrize(
    ("evidence", "arguments", "argument", "message"),
    [
        ("quote/tdx/dcap-qvl-tdx-quote/tdx_quote", {}, "collateral", "an Intel quote needs Intel's collateral"),
        ("snp/sev/report_milan.hex", {}, "collateral", "needs the certificate of"),
        ("csv/csv-rs/report.cert", {}, "collateral", "needs HSK and CEK"),
        ("nvidia/hopperAttestationReport.txt", {}, "collateral", "needs the device's certificate chain"),
        ("tpm-quote/swtpm/q.msg", SWTPM, "signature", "needs its signature"),
        ("tpm-quote/swtpm/q.msg", {**SWTPM, "signature": read("tpm-quote/swtpm/q.sig")}, "pcrs", "needs its PCRs"),
    ],
)
def test_evidence_that_lacks_what_it_needs_names_it(
    evidence: str, arguments: dict[str, Any], argument: str, message: str
) -> None:
    with pytest.raises(sealwright.RequestError, match=message) as raised:
        sealwright.verify(read(evidence), **arguments)
    assert raised.value.argument == argument
    assert argument in str(raised.value)
    assert str(pickle.loads(pickle.dumps(raised.value))) == str(raised.value)


@pytest.mark.parametrize(
    ("arguments", "argument", "message"),
    [
        ({"collateral": [b"nothing"]}, "collateral", r"collateral\[0\] is no collateral"),
        ({"collateral": [TDX.collateral, TDX.collateral]}, "collateral", r"collateral\[1\].*a second one"),
        ({"collateral": [b"{"]}, "collateral", "is no collateral"),
        ({"roots": {}}, "roots", "no root is named"),
        ({"roots": {"mine": b"nothing"}}, "roots", "mine is no root certificate"),
        ({"ima": b"a list"}, "event_log", "needs the event log that comes before the IMA list"),
        ({"require": "Revoked"}, "require", "cannot be believed"),
        ({"require": "uptodate"}, "require", "expected a TCB status"),
        ({"at": -1}, "at", "out of range"),
        ({"at": 2**70}, "at", "out of range"),
        ({"at": datetime(2025, 6, 20)}, "at", "without a zone"),
        ({"max_age": -1}, "max_age", "out of range"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_argument(arguments: dict[str, Any], argument: str, message: str) -> None:
    with pytest.raises(sealwright.RequestError, match=message) as raised:
        TDX.verify(**arguments)
    assert raised.value.argument == argument
    assert isinstance(raised.value, ValueError)


def test_an_event_log_that_would_not_be_looked_at_is_refused() -> None:
    with pytest.raises(sealwright.RequestError, match="is not verified with an event log") as raised:
        sealwright.verify(read("appraise/nitro/aws.bin"), event_log=b"a log")
    assert raised.value.argument == "event_log"
    with pytest.raises(sealwright.RequestError, match="is not verified with an IMA list") as raised:
        sealwright.verify(read("appraise/nitro/aws.bin"), ima=b"a list")
    assert raised.value.argument == "ima"


@pytest.mark.parametrize(
    "arguments",
    [
        {"collateral": TDX.collateral},
        {"collateral": ["collateral.json"]},
        {"roots": {"root": "root.pem"}},
        {"roots": {1: b""}},
        {"at": 1.5},
        {"at": "now"},
        {"at": True},
        {"event_log": "log"},
        {"require": 1},
        {"max_age": 1.5},
        {"without_crl": None},
        {"no_such_argument": 1},
    ],
    ids=str,
)
def test_arguments_of_another_type_are_no_request(arguments: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        TDX.verify(**arguments)


def test_evidence_is_bytes() -> None:
    for evidence in ("tdx_quote", None, 1, [1, 2]):
        with pytest.raises(TypeError):
            sealwright.verify(evidence)  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            sealwright.kind(evidence)  # type: ignore[arg-type]


def test_the_statuses_that_can_be_required_are_those_of_the_library() -> None:
    statuses = get_args(sealwright.TcbStatus)
    assert get_args(sealwright.Demand) == statuses[:-1] and statuses[-1] == "Revoked"
    for status in get_args(sealwright.Demand):
        assert TDX.verify(require=status).accepted
