"""Each module here brings the schema from one version to the next, and back."""
