"""What an experiment takes: measured in short, predicted in full, and told while it runs."""
