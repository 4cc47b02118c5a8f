"""The way from a device to the server, eq. (2), and what crosses it."""
