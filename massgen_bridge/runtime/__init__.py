"""Running: what does I/O so that strategies need not."""
