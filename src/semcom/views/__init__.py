"""Random and centre views of scenes, as whole batches."""
