"""What one check says of one target, before it becomes a result of a verdict or a finding on the screen."""

from __future__ import annotations

from typing import Any

import msgspec

from mltop.config.limit import Limit
from mltop.model.finding import Finding, Level


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """One check of one target."""

    check: str
    target: str
    target_name: str
    level: Level | None
    """`None`: there is nothing to judge (SKIP)."""
    summary: str
    action: str | None = None
    reason: str = "limit"
    """A word for programs, where it is not OK."""
    value: float | None = None
    limit: Limit | None = None
    """What the value was held against."""
    is_quiet: bool = False
    """Another judgement tells the cause, or it is not read yet: part of a verdict, nothing to show on the screen."""
    duration_s: float | None = None
    data: dict[str, Any] | None = None

    @property
    def is_finding(self) -> bool:
        """Whether the dashboard shows it."""
        return bool(self.level) and not self.is_quiet

    def finding(self) -> Finding:
        """It as the dashboard shows it; only of one that has a level."""
        return Finding(
            check=self.check,
            target=self.target,
            target_name=self.target_name,
            level=Level.OK if self.level is None else self.level,
            summary=self.summary,
            action=self.action,
        )
