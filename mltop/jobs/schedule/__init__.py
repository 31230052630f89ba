"""When something runs: cron, OnCalendar, `every`."""
