"""Raw files to scenes on disk, and scenes to tensors."""
