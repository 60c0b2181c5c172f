"""Words for numbers."""

import pytest

from nerf_plugins.wording import counted


@pytest.mark.parametrize(("count", "words"), [(0, "0 photos"), (1, "1 photo"), (2, "2 photos")])
def test_one_thing_is_no_several(count, words):
    assert counted(count, "photo") == words


def test_words_that_take_no_s():
    assert [counted(k, "photo is", "photos are") for k in (1, 2)] == ["1 photo is", "2 photos are"]
