"""`python -m mltop`."""

from __future__ import annotations

import sys

from mltop.cli import main

sys.exit(main())
