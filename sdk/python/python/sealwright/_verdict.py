"""What there is to say of evidence."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, NoReturn

from sealwright.facts import Facts


@dataclass(frozen=True)
class Reason:
    """Why evidence is not believed."""

    code: str
    """A stable word, such as `untrusted-root`."""
    claim: str
    """What the refusal is about."""
    message: str
    """The reason for people."""
    remedy: str
    """What to do about it."""
    expected: str | None = None
    """What would have been believed."""
    actual: str | None = None
    """What was found."""


@dataclass(frozen=True, repr=False)
class Verdict:
    """The answer about evidence.

    A verdict has no truth value, because one would have to be chosen between `genuine` and `accepted`, and because an object
    that is always true would make `if sealwright.verify(...):` accept everything. Ask `require_accepted` or `accepted`.
    """

    genuine: bool
    """Whether a trusted root vouches for the evidence."""
    accepted: bool
    """Whether it is genuine at a status that is good enough."""
    simulated: bool | None
    """Whether it comes from a simulator, which proves nothing about any hardware; `None` where no root that it names is trusted."""
    facts: Facts | None = field(compare=False)
    """What it proves, if it is genuine. Genuine is not yet accepted: `require_accepted` returns the same facts and looks first."""
    reason: Reason | None = field(compare=False)
    """Why it is not believed, if it is not genuine."""
    json: str
    """All of it as `sealwright verify --json` prints it."""

    @classmethod
    def _from_json(cls, text: str) -> Verdict:
        members: dict[str, Any] = json.loads(text)
        reason = members.get("reason")
        return cls(
            genuine=members["genuine"],
            accepted=members["accepted"],
            simulated=members.get("simulated"),
            facts=members.get("facts"),
            reason=None if reason is None else Reason(**reason),
            json=text,
        )

    def require_accepted(self) -> Facts:
        """What the evidence proves.

        Raises:
            Refused: When it is not accepted.
        """
        if not self.accepted or self.facts is None:
            raise Refused(self)
        return self.facts

    def __bool__(self) -> NoReturn:
        raise TypeError("a verdict has no truth value: ask .accepted, .genuine or .require_accepted()")

    def __str__(self) -> str:
        """One line, which begins with SIMULATED where a simulator made the evidence."""
        return ("SIMULATED: " if self.simulated else "") + _plain(self._headline())

    def __repr__(self) -> str:
        return f"<Verdict {self}>"

    def _headline(self) -> str:
        if self.facts is None:
            return f"no: {self.reason.message} [{self.reason.code}]" if self.reason else "no"
        status = self.facts["tcb"]["status"] if "tcb" in self.facts else None
        genuine = f"genuine {self.facts['tee']} evidence under {self.facts['anchor']['name']}"
        if status is not None:
            genuine += f" at TCB status {status}"
        if self.accepted:
            return f"yes: {genuine}"
        return f"no: {genuine}, which is " + ("worse than what is accepted" if status else "without the TCB status that is required")


class Refused(Exception):
    """The evidence is not accepted. As text it is the reason and what to do about it."""

    __module__ = "sealwright"  # where callers find it, and what tracebacks say

    verdict: Verdict
    """The verdict, whose `reason` has the parts of a refusal."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict)
        self.verdict = verdict

    def __str__(self) -> str:
        reason = self.verdict.reason
        return f"{self.verdict}; {_plain(reason.remedy)}" if reason else str(self.verdict)


def _plain(text: str) -> str:
    """Text from outside without what a terminal would obey or not show."""
    return "".join(character if character.isprintable() else f"\\u{{{ord(character):x}}}" for character in text)
