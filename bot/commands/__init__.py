"""The commands of `zhike`, by subject; `bot/cli.py` puts them together."""
