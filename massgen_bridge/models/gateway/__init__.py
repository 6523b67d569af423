"""The loopback address by which agents reach their models."""
