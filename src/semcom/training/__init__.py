"""Stage I and stage II, Algorithm 1, and what they share."""
