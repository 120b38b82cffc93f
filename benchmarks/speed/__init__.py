"""Seconds, FLOP/s and memory, as ratios of cases that alternate in one process."""
