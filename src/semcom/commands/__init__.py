"""What is typed: `python -m semcom.commands.status`, `compare_sizes`; and `partial` of the workflow."""
