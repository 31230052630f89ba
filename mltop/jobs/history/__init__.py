"""What ran: the table of runs, its spool, its retention."""
