"""The languages that people read: their words, dates and numbers."""
