"""What a guest may ask for: one short action per deed."""
