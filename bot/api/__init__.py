"""The HTTP API for property-management systems, which stands at `PREFIX`."""

from bot.api.problems import PREFIX
from bot.api.table import routes

__all__ = ["PREFIX", "routes"]
