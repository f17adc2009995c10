"""fakeface: is a face picture a photograph, or was it made by a generative model?

    >>> from fakeface import Detector
    >>> detector = Detector.from_pretrained()           # doctest: +SKIP
    >>> detector("portrait.jpg").verdict                # doctest: +SKIP
    'generated'

`import fakeface` is quick: torch and transformers are imported with the first name that needs them. It also has
transformers' Auto classes and `pipeline` open fakeface model folders without `trust_remote_code`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from . import registration

if TYPE_CHECKING:
    from .configuration_fakeface import FakeFaceConfig
    from .detector import Detector, verdict
    from .explain import Explanation, cam
    from .faces import FaceFinder, FaceFinderError
    from .image_processing_fakeface import FakeFaceImageProcessor
    from .images import Limits, PictureError, list_pictures, load_picture, picture_bytes
    from .model_folder import ModelFolderError, default_model
    from .modeling_fakeface import FakeFaceForImageClassification, FakeFaceModel
    from .provenance import Provenance, read_provenance
    from .results import FaceResult, Result

__all__ = [
    "Detector",
    "Explanation",
    "FaceFinder",
    "FaceFinderError",
    "FaceResult",
    "FakeFaceConfig",
    "FakeFaceForImageClassification",
    "FakeFaceImageProcessor",
    "FakeFaceModel",
    "Limits",
    "ModelFolderError",
    "PictureError",
    "Provenance",
    "Result",
    "cam",
    "default_model",
    "list_pictures",
    "load_picture",
    "picture_bytes",
    "read_provenance",
    "verdict",
]

_HOMES = {
    "configuration_fakeface": ["FakeFaceConfig"],
    "detector": ["Detector", "verdict"],
    "explain": ["Explanation", "cam"],
    "faces": ["FaceFinder", "FaceFinderError"],
    "image_processing_fakeface": ["FakeFaceImageProcessor"],
    "images": ["Limits", "PictureError", "list_pictures", "load_picture", "picture_bytes"],
    "model_folder": ["ModelFolderError", "default_model"],
    "modeling_fakeface": ["FakeFaceForImageClassification", "FakeFaceModel"],
    "provenance": ["Provenance", "read_provenance"],
    "results": ["FaceResult", "Result"],
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:  # PEP 562
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            value = version("fakeface")
        except PackageNotFoundError:  # a source tree on the path, not installed
            value = "0+source"
    elif name in _HOME_OF:
        value = getattr(import_module(f".{_HOME_OF[name]}", __name__), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value  # the next look-up does not come here
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})


registration.install()
