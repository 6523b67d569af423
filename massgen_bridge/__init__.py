"""The public names of massgen-bridge, and nothing else."""
