"""The daemon between an applicant tracking system and a provider of assessments.

1. **Core decides, service carries out, adapters translate**: ``core.lifecycle`` is the only place
   where an invitation changes.
2. A ``Transition`` (the new record and its tasks) is committed in **one atomic write**; what is
   still to be done (check, notify, anonymise) is a **task** in Redis, never a promise in memory.
3. **A callback is an unverified report**: it makes a check due; the truth is fetched with our own
   token.
4. A vendor's words and JSON stay inside its package; vendor packages never import each other.
5. ``app`` is the only module that names concrete adapters; server, commands and tests share it.
"""

__version__ = "0.1.0"
