"""A result as a document: what it says, and the process that makes a PDF of it."""
