"""fakeface: is a face picture a photograph, or was it made by a generative model?

    >>> from fakeface import Detector
    >>> detector = Detector.from_pretrained()           # doctest: +SKIP
    >>> detector("portrait.jpg").verdict                # doctest: +SKIP
    'generated'

`import fakeface` is quick: torch and transformers are imported with the first name that needs them. It also has
transformers' Auto classes and `pipeline` open fakeface model folders without `trust_remote_code`.
"""

from typing import TYPE_CHECKING, Any

from .model_folder import registration
from .utils.lazy import lazy_names

if TYPE_CHECKING:
    from .configuration_fakeface import FakeFaceConfig
    from .detector import Detector
    from .explain import Explanation, cam
    from .faces import FaceFinder, FaceFinderError
    from .image_processing_fakeface import FakeFaceImageProcessor
    from .images import Limits, PictureError, Provenance, list_pictures, load_picture, picture_bytes, read_provenance
    from .model_folder import ModelFolderError, default_model
    from .modeling_fakeface import FakeFaceForImageClassification, FakeFaceModel
    from .results import FaceResult, Result, verdict
    from .utils.errors import FakefaceError

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
    "FakefaceError",
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

_lazy_name = lazy_names(
    __name__,
    {
        "configuration_fakeface": ["FakeFaceConfig"],
        "detector": ["Detector"],
        "explain": ["Explanation", "cam"],
        "faces": ["FaceFinder", "FaceFinderError"],
        "image_processing_fakeface": ["FakeFaceImageProcessor"],
        "images": [
            "Limits",
            "PictureError",
            "Provenance",
            "list_pictures",
            "load_picture",
            "picture_bytes",
            "read_provenance",
        ],
        "model_folder": ["ModelFolderError", "default_model"],
        "modeling_fakeface": ["FakeFaceForImageClassification", "FakeFaceModel"],
        "results": ["FaceResult", "Result", "verdict"],
        "utils.errors": ["FakefaceError"],
    },
)


def __getattr__(name: str) -> Any:  # PEP 562
    if name != "__version__":
        return _lazy_name(name)
    from importlib.metadata import PackageNotFoundError, version

    global __version__
    try:
        __version__ = version("fakeface")
    except PackageNotFoundError:  # a source tree on the path, not installed
        __version__ = "0+source"
    return __version__


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})


registration.install()
