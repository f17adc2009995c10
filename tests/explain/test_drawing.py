"""Boxes around faces, and the map as a layer."""

import numpy as np
from PIL import Image

from fakeface.explain.drawing import VERDICT_COLOURS, draw_faces, map_layer
from fakeface.results import FaceResult

GREY = Image.new("RGB", (200, 100), (128, 128, 128))


def colours(picture: Image.Image) -> set[tuple[int, ...]]:
    return {tuple(pixel) for pixel in np.asarray(picture).reshape(-1, 3).tolist()}


def test_each_face_gets_a_box_in_the_colour_of_its_verdict():
    faces = [FaceResult((20, 30, 60, 80), 0.99, "generated"), FaceResult((120, 30, 160, 80), 0.01, "real")]
    drawn = draw_faces(GREY, faces)
    assert drawn.size == (200, 100)
    assert drawn.getpixel((20, 60)) == VERDICT_COLOURS["generated"]
    assert drawn.getpixel((160, 60)) == VERDICT_COLOURS["real"]
    assert drawn.getpixel((40, 60)) == drawn.getpixel((140, 60)) == (128, 128, 128)
    assert colours(GREY) == {(128, 128, 128)}  # the picture itself is left alone


def test_a_number_stands_at_each_box_where_there_are_several():
    face = FaceResult((20, 40, 60, 80), 0.5, "uncertain")
    one, two = draw_faces(GREY, [face]), draw_faces(GREY, [face, face])
    above = (20, 10, 40, 38)
    assert colours(one.crop(above)) == {(128, 128, 128)}
    assert VERDICT_COLOURS["uncertain"] in colours(two.crop(above))


def test_boxes_follow_the_picture_when_it_is_shrunk_and_stay_inside_it():
    drawn = draw_faces(GREY, [FaceResult((-20, -10, 100, 120), 0.99, "generated")], largest=100)
    assert drawn.size == (100, 50)
    assert drawn.getpixel((0, 25)) == drawn.getpixel((50, 25)) == VERDICT_COLOURS["generated"]
    assert drawn.getpixel((75, 25)) == (128, 128, 128)


def test_a_box_outside_the_picture_is_left_out():
    assert colours(draw_faces(GREY, [FaceResult((300, 10, 340, 50), 0.99, "generated")])) == {(128, 128, 128)}


def test_a_layer_is_clear_where_the_map_is_zero_and_opaque_where_it_is_one():
    map = np.zeros((60, 80), np.float32)
    map[:, 40:] = 1
    layer = map_layer(map)
    assert (layer.size, layer.mode) == ((80, 60), "RGBA")
    assert layer.getpixel((10, 30)) == (68, 1, 84, 0)
    assert layer.getpixel((70, 30)) == (253, 231, 37, 255)


def test_a_layer_of_a_large_map_is_small():
    assert map_layer(np.zeros((3000, 4000), np.float32)).size == (320, 240)


def test_a_levelled_face_is_drawn_as_the_turned_square_that_the_model_saw():
    corners = ((100.0, 20.0), (130.0, 50.0), (100.0, 80.0), (70.0, 50.0))
    drawn = draw_faces(GREY, [FaceResult((85, 35, 115, 65), 0.99, "generated", square=corners)])
    orange = VERDICT_COLOURS["generated"]
    for x, y in ((115, 35), (115, 65), (85, 65), (85, 35), (100, 20)):  # edges and a corner
        assert orange in colours(drawn.crop((x - 2, y - 2, x + 3, y + 3)))
    assert drawn.getpixel((85, 50)) == drawn.getpixel((100, 50)) == (128, 128, 128)
