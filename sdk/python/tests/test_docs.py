"""What docs/python.md shows is what happens."""

from __future__ import annotations

import doctest
import runpy
import time
from pathlib import Path

import pytest
from vectors import TDX

TREE = Path(__file__).parents[3]
PAGE = TREE / "docs/python.md"
EXAMPLE = TREE / "sdk/python/examples/verify.py"


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("tdx_quote").write_bytes(TDX.quote)
    Path("collateral.json").write_bytes(TDX.collateral)


def test_the_sessions_of_the_page_give_what_it_says() -> None:
    results = doctest.testfile(str(PAGE), module_relative=False)
    assert results.attempted > 10 and results.failed == 0


def test_the_program_of_the_page_prints_what_it_says(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = PAGE.read_text()
    assert f"```python\n{EXAMPLE.read_text()}```" in page
    main = runpy.run_path(str(EXAMPLE))["main"]
    challenge = TDX.verify().require_accepted()["report_data"]
    # The collateral's day.
    monkeypatch.setattr(time, "time", lambda: float(TDX.now))

    def run(*words: str) -> tuple[int, str]:
        code = main(*words)
        printed = capsys.readouterr().out
        assert isinstance(code, int)
        return code, printed

    def shown(printed: str) -> bool:
        return "".join(f"    {line}\n" for line in printed.splitlines()) in page

    code, printed = run("tdx_quote", challenge, "collateral.json")
    assert code == 0 and shown(printed), printed
    code, printed = run("tdx_quote", challenge)
    assert code == 2 and shown(printed), printed
    code, printed = run("tdx_quote", "00" * 64, "collateral.json")
    assert code == 1 and printed.startswith("no: it answers another challenge")
    monkeypatch.setattr(time, "time", lambda: float(TDX.now + 366 * 86_400))
    code, printed = run("tdx_quote", challenge, "collateral.json")
    assert code == 1 and "[collateral-expired]" in printed
