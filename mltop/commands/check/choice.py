"""What a run judges and by which limits: its flags over the config over the profile."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import msgspec

from mltop.checks.profile import Profile, limits_of, named
from mltop.checks.selection import NoSuchCheckError, Selection, select
from mltop.commands.check.refuse import NoVerdictError
from mltop.config.limits import Limits
from mltop.config.settings import Settings
from mltop.system.text import clean


class Choice(msgspec.Struct, frozen=True):
    """What was chosen."""

    profile_name: str
    profile: Profile
    selection: Selection
    limits: Limits


def chosen(options: argparse.Namespace, settings: Settings) -> Choice:
    """Of a run with these flags; raises NoVerdictError."""
    name = settings.checks.profile if options.profile is None else options.profile
    try:
        profile = named(name)
    except ValueError as error:
        raise NoVerdictError(f"--profile: {clean(str(error), 300)}") from None
    try:
        selection = select(_words(options.only), _words(options.skip), settings.checks.disabled, profile.off)
    except NoSuchCheckError as error:
        raise NoVerdictError(str(error)) from None
    warnings, criticals = (_with_id(words, options) for words in (options.warning, options.critical))
    limits = limits_of(profile, settings.limits)
    if warnings or criticals:
        from mltop.checks.override import overridden

        try:
            limits = overridden(limits, warnings, criticals)
        except ValueError as error:
            raise NoVerdictError(str(error)) from None
    return Choice(name, profile, selection, limits)


def _words(lists: Sequence[str]) -> list[str]:
    return [word.strip() for text in lists for word in text.split(",") if word.strip()]


def _with_id(words: Sequence[str], options: argparse.Namespace) -> list[str]:
    """Limits with their id: a RANGE alone is of the one check that `--only` names."""
    only = _words(options.only)
    return [word if "=" in word or len(only) != 1 else f"{only[0]}={word}" for word in words]
