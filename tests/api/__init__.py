"""The HTTP API for property-management systems."""
