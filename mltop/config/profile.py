"""The names of the profiles, for who must not wait for the rest of `[checks]`."""

from __future__ import annotations

from typing import Literal, get_args

Profile = Literal["default", "seed", "gate", "inference", "training", "desktop"]
PROFILES: tuple[Profile, ...] = get_args(Profile)
