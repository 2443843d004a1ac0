"""What Equalture sends to the bridge when a candidate is done: whole, or as nobody documents it."""

from __future__ import annotations

import gzip
import json

from tests.simulation.equalture_machine import EqualtureApplication
from tests.simulation.vendor_quirks import ReportBody


def build_report(application: EqualtureApplication, how: ReportBody) -> tuple[bytes, str]:
    """The body of a callback, and how it is packed; empty: not."""
    whole = application.describe_result()
    match how:
        case "empty":
            return b"{}", ""
        case "bare":
            return json.dumps({"fit": whole["fit"]}).encode(), ""
        case "odd":
            odd = {
                "fit": whole["fit"],
                "scores": [],
                "detailed_scores": [None, 3, {"trait_code": 7}],
            }
            return json.dumps({**odd, "results_url": 12, "new": {"at": [1]}}).encode(), ""
        case "packed":
            return gzip.compress(json.dumps(whole).encode(), mtime=0), "gzip"
        case "unreadable":
            return b"fit=high&scores", ""
        case "other scores":
            return json.dumps({**whole, "fit": application.other_fit}).encode(), ""
    return json.dumps(whole).encode(), ""
