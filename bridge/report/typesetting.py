"""The process that makes PDFs: reads the text of a report, answers with the document.

It is started as a file, imports nothing of the bridge, and has no environment, so that no secret
is in its reach. Requests are JSON behind their length in four bytes; an answer has one byte more in
front: 1 for a PDF, 0 for what was wrong.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
NICENESS = 10
"""A long report must not delay those who take results."""


def main() -> None:
    """Answer until the input ends."""
    with contextlib.suppress(OSError):
        os.nice(NICENESS)
    # Else it has a thread for each CPU, of which a big host has more than a container or unit may.
    os.environ["RAYON_NUM_THREADS"] = "1"
    import typst  # here, since only this process pays for it

    fonts = typst.Fonts(
        include_system_fonts=False,
        include_embedded_fonts=False,
        font_paths=[str(FOLDER / "fonts")],
    )
    compiler = typst.Compiler(str(FOLDER / "report.typ"), root=str(FOLDER), font_paths=fonts)

    def typeset(text: bytes) -> tuple[bool, bytes]:
        try:
            made = compiler.compile(
                sys_inputs={"text": text.decode()}, pdf_standards=["ua-1", "a-2a"]
            )
        except BaseException as error:  # a panic of the library is no Exception
            return False, f"{type(error).__name__}: {error}".encode()
        if not isinstance(made, bytes):
            return False, b"no PDF was made"
        return True, made

    incoming, outgoing = sys.stdin.buffer, sys.stdout.buffer
    while head := incoming.read(4):
        well, answer = typeset(incoming.read(int.from_bytes(head)))
        outgoing.write(bytes([well]) + len(answer).to_bytes(4) + answer)
        outgoing.flush()


if __name__ == "__main__":
    main()
