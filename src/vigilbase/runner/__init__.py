"""Schedule, probe, judge, record."""
