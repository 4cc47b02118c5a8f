"""What the pipeline costs, against the limit of its own networks' arithmetic and against what one would take instead.

`python -m benchmarks NAME --configfile=FILE` measures one thing on the scenes of that configuration and adds its rows to
results/benchmarks/; `make bench` measures all. Both sides of a ratio run by turns in one process (or as processes by
turns), so that what else the machine does falls on both. These are measurements, not tests: nothing fails on them.
"""

import semcom.figures  # noqa: F401  before matplotlib, for which it chooses a backend
