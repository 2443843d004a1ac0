"""The page on which people play both fakes by hand, at ``/_sandbox/`` of each of them.

It is a room of its own, since the fakes share nothing with the bridge (``bridge/sandbox``), while
the page takes the bridge's templates, style and guard. What it does is what the fakes' paths below
``/_sandbox/`` do for programs.
"""

from bridge.sandbox_page.page_routes import add_sandbox_page

__all__ = ["add_sandbox_page"]
