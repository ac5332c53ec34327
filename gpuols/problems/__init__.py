"""Problem shapes: how what the user has becomes moments, chunk by chunk."""
