"""`make bench`: how fast the house is, on the machine at hand."""
