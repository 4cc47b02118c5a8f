"""What an experiment takes: measured in short, predicted in full."""
