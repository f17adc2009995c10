"""What the environment may say, and how a wrong value is refused."""

import pytest

from fakeface.app.settings import SettingError, Settings


def test_without_variables_the_defaults_stand():
    assert Settings.from_environment({"FAKEFACE_QUEUE": "", "PATH": "/bin"}) == Settings()


def test_variables_are_read():
    settings = Settings.from_environment(
        {
            "FAKEFACE_MODEL": "someone/model",
            "FAKEFACE_DEVICE": "cuda:1",
            "FAKEFACE_THRESHOLDS": "0.3, 0.95",
            "FAKEFACE_MAX_MEGABYTES": "0.5",
            "FAKEFACE_MAX_FACES": "3",
            "FAKEFACE_QUEUE": "7",
            "FAKEFACE_ADDRESSES": "off",
            "FAKEFACE_SOURCE": "https://github.com/someone/fork/",
            "FAKEFACE_SITE": "https://faces.test/",
            "SPACE_ID": "someone/space",
            "GRADIO_SERVER_NAME": "0.0.0.0",
            "GRADIO_SERVER_PORT": "8000",
            "PORT": "9000",
        }
    )
    assert settings == Settings(
        model="someone/model",
        device="cuda:1",
        thresholds=(0.3, 0.95),
        max_megabytes=0.5,
        max_faces=3,
        queue=7,
        addresses=False,
        source="https://github.com/someone/fork",
        site="https://faces.test",
        host="0.0.0.0",
        port=9000,
    )
    assert settings.limits.max_bytes == 524_288
    assert settings.limits.max_pixels == 50_000_000


def test_of_a_space_source_and_site_are_its_own():
    settings = Settings.from_environment({"SPACE_ID": "someone/space", "SPACE_HOST": "someone-space.hf.space"})
    assert settings.source == "https://huggingface.co/spaces/someone/space"
    assert settings.site == "https://someone-space.hf.space"


def test_an_operating_point_is_read_and_goes_with_no_other_thresholds():
    named = {"FAKEFACE_OPERATING_POINT": "strict"}
    assert Settings.from_environment(named).operating_point == "strict"
    with pytest.raises(SettingError, match=r"FAKEFACE_OPERATING_POINT both say where verdicts begin; set one of them"):
        Settings.from_environment({**named, "FAKEFACE_THRESHOLDS": "0.3,0.95"})


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("FAKEFACE_MAX_FACES", "many", "FAKEFACE_MAX_FACES is 'many': set it to a whole number above 0"),
        ("FAKEFACE_MAX_FACES", "0", "FAKEFACE_MAX_FACES is '0'"),
        ("FAKEFACE_MAX_SECONDS", "nan", "FAKEFACE_MAX_SECONDS is 'nan': set it to a number above 0"),
        ("PORT", "-1", "PORT is '-1'"),
        ("FAKEFACE_THRESHOLDS", "0.9,0.3", "set it to two scores from 0 to 1, the lower first"),
        ("FAKEFACE_THRESHOLDS", "0.9", "FAKEFACE_THRESHOLDS is '0.9'"),
        ("FAKEFACE_DOCS", "javascript:alert(1)", "set it to an address that begins with https://"),
        ("FAKEFACE_ADDRESSES", "maybe", "FAKEFACE_ADDRESSES is 'maybe': set it to on or off"),
    ],
)
def test_a_wrong_value_is_refused_with_the_cure(variable: str, value: str, words: str):
    with pytest.raises(SettingError) as refused:
        Settings.from_environment({variable: value})
    assert words in str(refused.value)
