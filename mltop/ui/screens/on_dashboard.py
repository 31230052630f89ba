"""What every screen knows: the dashboard that it is on, and what that shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from textual.screen import Screen

    from mltop.ui.app import Dashboard
    from mltop.ui.view import View


class OnDashboard:
    """Goes before `Screen` in a screen's bases."""

    @property
    def dashboard(self) -> Dashboard:
        """The app, by its type."""
        return cast("Dashboard", cast("Screen[Any]", self).app)

    @property
    def view(self) -> View:
        """What is shown."""
        return self.dashboard.view
