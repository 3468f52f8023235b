"""Everything that is wrong with a data set, in one pass."""
