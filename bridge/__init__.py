"""The daemon between softgarden's Assessment API and Equalture's Open Assessment API.

1. **core decides, service carries out, adapters translate**: ``core.lifecycle.decide(invitation,
   event, now)`` is the only place where an invitation changes.
2. A ``Transition`` (new record + tasks) is committed in **one atomic write**; what the bridge owes
   the world (check, notify, anonymise) is a **task** in Redis, never a promise in memory.
3. **Callbacks are hints**: they make a check due; the truth is fetched with our own token.
4. Vendor words and vendor JSON stay inside ``softgarden`` and ``equalture``; those two never import
   each other.
5. ``app`` is the only module that names concrete adapters; server, commands and tests share it.
"""

__version__ = "0.1.0"
