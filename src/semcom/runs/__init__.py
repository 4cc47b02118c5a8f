"""One run's life from its process's first moment to its last; nothing here decides a result."""
