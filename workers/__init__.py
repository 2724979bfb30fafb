"""Background work: one thin file per domain, the schedule, and what all tasks share."""
