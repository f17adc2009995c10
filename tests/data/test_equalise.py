"""One history: what goes in differs, what comes out does not."""

import io

import pytest
from planted import noise

from fakeface.data.equalise import History, equalise, resized
from fakeface.data.file_facts import file_format, jpeg_facts, metadata_facts
from fakeface.delivery.augment import sample_rng
from fakeface.images.load import load_picture


def rng():
    return sample_rng(0, 0, 0)


def test_files_of_any_history_come_out_with_the_same():
    outs = []
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\0"
    for format_, options in (("PNG", {}), ("JPEG", {"quality": 40, "exif": exif}), ("WEBP", {})):
        buffer = io.BytesIO()
        noise(400, 0).crop((0, 0, 400, 330)).save(buffer, format_, **options)
        outs.append(equalise(load_picture(buffer.getvalue()), History(), rng()))
    for data in outs:
        facts = jpeg_facts(data)
        assert file_format(data) == "JPEG"
        assert (facts["quality"], facts["subsampling"], facts["progressive"]) == (88, 0x22, 0)
        assert not any(metadata_facts(data).values())
        assert load_picture(data).size == (280, 280)


def test_small_pictures_are_not_enlarged():
    assert resized(noise(90, 0), History()).size == (90, 90)
    assert resized(noise(90, 0), History(), side=40).size == (40, 40)


def test_proportions_stay_where_asked_for():
    wide = noise(400, 0).crop((0, 0, 400, 200))
    assert resized(wide, History()).size == (200, 200)
    assert resized(wide, History(square=False)).size == (280, 140)


def test_the_square_is_the_centre():
    picture = noise(60, 0)
    wide = picture.crop((-20, 0, 80, 60))
    assert resized(wide, History()).tobytes() == picture.tobytes()


def test_equal_draws_give_equal_bytes_and_quality_is_drawn_from_its_range():
    history = History(quality=(60, 90))
    assert equalise(noise(90, 0), history, rng()) == equalise(noise(90, 0), history, rng())
    drawn = {jpeg_facts(equalise(noise(40, 0), history, sample_rng(0, 0, i)))["quality"] for i in range(40)}
    assert 59 <= min(drawn) < 70
    assert 80 < max(drawn) <= 90


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"codec": "GIF"}, "codec is 'GIF': it takes JPEG, WEBP, AVIF"),
        ({"subsampling": "4:1:1"}, "subsampling is '4:1:1': it takes"),
        ({"size": 8}, "size is 8: it takes 16 to 8192 pixels"),
        ({"size": 280.5}, r"size is 280\.5: it takes a value of type int"),
        ({"square": "no"}, "square is 'no': it takes a value of type bool"),
        ({"quality": 88}, "quality is 88: it takes two whole numbers, lowest and highest"),
        ({"quality": (88, [90])}, r"quality is \(88, \[90\]\): it takes two whole numbers"),
        ({"quality": (90, 80)}, r"quality is \[90, 80\]: it takes a lowest and a highest"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        History(**settings)
