"""The loop: schedule, probe, judge, record."""
