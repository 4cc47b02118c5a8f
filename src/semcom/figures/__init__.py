"""From tables to figures."""

import os

# A notebook sets a backend of its own for what it starts, and matplotlib refuses to load with one that it does not have.
os.environ["MPLBACKEND"] = "agg"
