"""What is declared is what is there."""

from __future__ import annotations

import json
import typing
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import pytest
import sealwright
from sealwright import _sealwright, facts
from vectors import CASES, SGX, TDX, Case


def check(value: object, declared: object, where: str) -> None:
    """Holds a value against its declared type, whole."""
    origin, arguments = typing.get_origin(declared), typing.get_args(declared)
    if origin is typing.Literal:
        assert value in arguments, where
    elif origin is list:
        assert isinstance(value, list), where
        for index, element in enumerate(value):
            check(element, arguments[0], f"{where}[{index}]")
    elif origin is dict:
        assert isinstance(value, dict), where
        for key, element in value.items():
            check(key, arguments[0], where)
            check(element, arguments[1], f"{where}.{key}")
    elif typing.is_typeddict(declared):
        assert isinstance(value, dict), where
        members = typing.get_type_hints(declared)
        missing = getattr(declared, "__required_keys__") - value.keys()
        assert not missing, f"{where} has no {missing}"
        for key, element in value.items():
            # The further fields of a GPU's report have names of the driver's choice.
            if key in members or declared is not facts.NvidiaClaims:
                assert key in members, f"{where}.{key} is not declared"
                check(element, members[key], f"{where}.{key}")
            else:
                assert isinstance(element, str), f"{where}.{key}"
    else:
        assert isinstance(declared, type) and type(value) is declared, f"{where}: {value!r} is no {declared}"


ACCEPTED = [case for case in CASES if case.exit == 0]


@pytest.mark.parametrize("case", ACCEPTED, ids=lambda case: case.evidence)
def test_the_facts_are_of_the_types_that_are_declared(case: Case) -> None:
    check(case.verify().facts, sealwright.Facts, case.tee or "")


def test_those_of_an_sgx_quote_are_too() -> None:
    check(SGX.verify().facts, sealwright.Facts, "sgx")


def test_every_kind_of_claims_is_declared_under_its_name() -> None:
    members = typing.get_type_hints(sealwright.Facts)
    for tee in typing.get_args(members["tee"]):
        assert tee in members, tee


def test_the_verdict_s_members_are_those_of_the_document() -> None:
    for verdict in (TDX.verify(), TDX.verify(at=0)):
        members = {name: getattr(verdict, name) for name in ("genuine", "accepted", "simulated", "facts")}
        if verdict.reason is not None:
            members["reason"] = {name: value for name, value in asdict(verdict.reason).items() if value is not None}
        assert {name: value for name, value in members.items() if value is not None} == json.loads(verdict.json)


def test_the_package_is_typed_and_its_library_is_for_every_python() -> None:
    package = Path(sealwright.__file__).parent
    assert (package / "py.typed").is_file()
    assert (package / "_sealwright.pyi").is_file()
    assert _sealwright.__file__.endswith(".abi3.so")
    assert sealwright.__version__ == version("sealwright")
    for name in sealwright.__all__:
        assert hasattr(sealwright, name), name
