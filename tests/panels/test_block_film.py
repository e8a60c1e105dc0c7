"""The film of blocks: each step is the cache after it, in the picture and in the text."""

from xml.etree import ElementTree

import pytest

from courselib.errors import SettingsError
from courselib.memory.paged_cache import PagedCache
from courselib.memory.reserved_cache import ReservedCache
from courselib.memory.serving import Request
from courselib.panels import block_film
from courselib.panels.block_film import BlockFilm
from courselib.panels.still import SVG as SVG_TYPE

SVG = "{http://www.w3.org/2000/svg}"
# A alone, then B in two samples, which share a full block and copy the one that is not full.
TRACE = [Request(3, 4), Request(5, 2, samples=2, arrival=1)]


@pytest.fixture
def film():
    return BlockFilm(TRACE, PagedCache(8, block_size=4))


def said(svg):
    return [title.text for title in ElementTree.fromstring(svg).iter(f"{SVG}title")]


def test_each_step_shows_the_cache_after_it(film):
    assert film.served.steps == len(film.frames) == 5
    assert said(film.picture.value)[:2] == ["0: A, 3/4", "1: free, 0/4"]
    film.step = 2
    assert said(film.picture.value)[:4] == ["0: A, 4/4", "1: B1, B2, 4/4", "2: B1, B2, 1/4", "3: free, 0/4"]
    film.step = 3
    assert film.as_table().splitlines()[1:] == [
        "5 of 8 blocks in use, 1 of them shared; 13 tokens in room for 20",
        "   3  0:A=4 1:B1+B2=4 2:B2=2 3:A=1 4:B1=2",
    ]


def test_a_block_is_filled_as_far_as_it_holds_tokens(film):
    (group,) = ElementTree.fromstring(film.picture.value).iter(f"{SVG}g")
    filled, frame, _name = group.iter(f"{SVG}rect")
    assert float(filled.get("width")) == pytest.approx((float(frame.get("width")) + 2) * 3 / 4, abs=0.1)


def test_the_slider_moves_the_step_and_is_moved_by_it(film):
    film.slider.value = 4
    assert (film.step, film.frame.step) == (4, 4)
    film.step = 1
    assert film.slider.value == 1
    assert "1 of 8 blocks in use" in film.words.value


@pytest.mark.parametrize("step", [0, 6])
def test_a_step_that_is_not_there_is_refused(film, step):
    with pytest.raises(SettingsError, match="from 1 to 5"):
        film.step = step
    assert film.step == 1


def test_a_saved_notebook_keeps_frames_as_a_picture_and_as_text(film):
    bundle = film._repr_mimebundle_()
    bundle = bundle[0] if isinstance(bundle, tuple) else bundle
    assert "0: A, 3/4" in said(bundle[SVG_TYPE])
    first, *frames = bundle["text/plain"].splitlines()
    assert first == "KV cache, block by block, simulated"
    assert frames[0] == "   1  0:A=3"
    assert len(frames) == block_film.STILLS
    assert repr(film) == "BlockFilm(5 steps)"


def test_reserved_ranges_are_shown_in_cells():
    film = BlockFilm([Request(3, 4)], ReservedCache(16, 8), block_size=4)
    assert said(film.picture.value) == ["0: A, 3/4", "1: A, 0/4", "2: free, 0/4", "3: free, 0/4"]
    assert film.as_table().splitlines()[:2] == [
        "KV cache, block by block | step 1 of 5",
        "2 of 4 blocks in use, 0 of them shared; 3 tokens in room for 8",
    ]


def test_no_requests_are_an_error_and_too_many_blocks_or_steps_are():
    with pytest.raises(SettingsError, match="More than 128 blocks"):
        BlockFilm(TRACE, PagedCache(129, block_size=4))
    with pytest.raises(SettingsError, match="More than 1000 steps"):
        BlockFilm([Request(1, 1000)], PagedCache(128, block_size=16))
    with pytest.raises(SettingsError, match="no requests"):
        BlockFilm([], PagedCache(8, block_size=4))
