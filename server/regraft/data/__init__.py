"""From a file of labelled rows to a checked data set in three parts."""
