"""A result as a document: plain data in, bytes out."""
