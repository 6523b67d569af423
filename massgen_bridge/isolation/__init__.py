"""Where an agent runs: in this process, in one of its own, or in an environment of its own."""
