"""The daemon between softgarden's Assessment API and Equalture's Open Assessment API.

How it works: ``.github/ARCHITECTURE.md``.
"""

__version__ = "0.1.0"
