"""The data room's rules, on both databases."""
