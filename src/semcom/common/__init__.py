"""What every other package says, writes and finds with; nothing here decides a result."""
