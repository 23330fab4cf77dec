"""A house that can be killed at any step, run by `test_crashes.py` in processes of its own."""
