"""Changed copies of frozen values."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge.core.copying import copy_with
from tests.core.build import INVITED


def test_a_copy_is_what_dataclasses_would_make() -> None:
    """The copy has the changed fields, all others are the same, and the original stays."""
    before = replace(INVITED)
    assert copy_with(INVITED, version=7, issued=False) == replace(INVITED, version=7, issued=False)
    assert before == INVITED


def test_no_field_of_this_name() -> None:
    """A field that there is not is refused, as by ``dataclasses.replace``."""
    with pytest.raises(TypeError, match="colour"):
        copy_with(INVITED, colour="red")  # type: ignore[call-arg]
