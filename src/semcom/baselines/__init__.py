"""Other ways to the server over the same link: what a conventional system would send instead of trained features."""
