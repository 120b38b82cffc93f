"""Side-by-side measurements: `speed` in time and memory, `parity` in numbers."""
