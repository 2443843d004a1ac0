"""Reports: what they say, how they are made, and what stands in the file."""
