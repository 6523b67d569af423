"""Pictures, sounds, films and documents: loaded, checked, and made fit for who is to see them."""
