"""Which checks run: those of `--only`, without those of `--skip` and of the config's `disabled` (D39)."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Sequence

import msgspec

from mltop.checks.catalogue import CATALOGUE

IDS = tuple(check.id for check in CATALOGUE)
FAMILY_OF = {check.id: check.family for check in CATALOGUE}


class NoSuchCheckError(ValueError):
    """An id or a glob that matches no check; the message says which."""


class Selection(msgspec.Struct, frozen=True):
    """The checks of one run."""

    checks: frozenset[str]
    asked: frozenset[str]
    """Those that `--only` named: where one does not apply to this box, that is UNKNOWN and not SKIP."""
    disabled: tuple[str, ...]
    """Those that were switched off, in the order of the catalogue."""

    @property
    def families(self) -> frozenset[str]:
        """The families of which something runs."""
        return frozenset(FAMILY_OF[check] for check in self.checks)


def select(
    only: Sequence[str] = (), skip: Sequence[str] = (), disabled: Sequence[str] = (), off_in_profile: Sequence[str] = ()
) -> Selection:
    """The checks that run; raises NoSuchCheckError. What `--only` names runs though config or profile switch it off."""
    asked = _matched(only, "--only")
    skipped = _matched(skip, "--skip")
    off = skipped | ((_matched(disabled, "checks.disabled") | frozenset(off_in_profile)) - asked)
    chosen = (asked or frozenset(IDS)) - off
    told = off if not asked else off & asked
    return Selection(chosen, asked, tuple(check for check in IDS if check in told))


def _matched(globs: Iterable[str], source: str) -> frozenset[str]:
    found: set[str] = set()
    for glob in globs:
        matches = [check for check in IDS if re.fullmatch(fnmatch.translate(glob), check)]
        if not matches:
            raise NoSuchCheckError(f"{source}: no check is called {glob!r} (mltop --check --list shows all)")
        found.update(matches)
    return frozenset(found)
