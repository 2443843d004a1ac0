"""The daemon between an applicant tracking system and a provider of assessments.

How it works: ``.github/ARCHITECTURE.md``.
"""

__version__ = "0.1.0"
