"""Models: where they are, how they are asked, and the small one that needs no account."""
