"""Networks: encoders, decoder, and how both stages put them together."""
