"""The typed configuration: its sections, how files become one, and what a run is given of it."""
