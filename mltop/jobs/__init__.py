"""What is scheduled and what ran: inventory, crontab, timers, plan; the wrapper, history and logs."""
