"""Registers the fakeface classes with transformers' Auto classes, without importing either before it is needed.

After `import fakeface`, in any order with `import transformers`, a fakeface model folder opens by `AutoConfig`,
`AutoModel`, `AutoModelForImageClassification`, `AutoImageProcessor` and `pipeline`, with no `trust_remote_code`.

Transformers takes classes only, not their names, so registering imports our model classes and with them torch. That
is put off until the Auto classes themselves are imported, which a hook on `sys.meta_path` notices.
"""

import sys
import threading
from collections.abc import Callable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType


def _register_config() -> None:
    from transformers import AutoConfig

    from ..configuration_fakeface import FakeFaceConfig

    AutoConfig.register(FakeFaceConfig.model_type, FakeFaceConfig, exist_ok=True)


def _register_models() -> None:
    from transformers import AutoModel, AutoModelForImageClassification

    from ..configuration_fakeface import FakeFaceConfig
    from ..modeling_fakeface import FakeFaceForImageClassification, FakeFaceModel

    AutoModel.register(FakeFaceConfig, FakeFaceModel, exist_ok=True)
    AutoModelForImageClassification.register(FakeFaceConfig, FakeFaceForImageClassification, exist_ok=True)


def _register_image_processor() -> None:
    from transformers import AutoImageProcessor

    from ..configuration_fakeface import FakeFaceConfig
    from ..image_processing_fakeface import FakeFaceImageProcessor

    # Transformers keeps a class per backend. Ours always works in Pillow; under one name only, the other would warn.
    classes = {"pil": FakeFaceImageProcessor, "torchvision": FakeFaceImageProcessor}
    AutoImageProcessor.register(FakeFaceConfig, image_processor_classes=classes, exist_ok=True)


def _register_no_video_processor() -> None:
    from transformers import AutoVideoProcessor

    from ..configuration_fakeface import FakeFaceConfig

    # `pipeline("image-classification")` also looks for a video processor. It derives a class name from our image
    # processor's, and would ask on stdin whether to trust the folder's code for it, unless it knows there is none.
    AutoVideoProcessor.register(FakeFaceConfig, None, exist_ok=True)


# The module that an Auto class lives in, and what to do once it is there.
_STEPS: dict[str, Callable[[], None]] = {
    "transformers.models.auto.configuration_auto": _register_config,
    "transformers.models.auto.modeling_auto": _register_models,
    "transformers.models.auto.image_processing_auto": _register_image_processor,
    "transformers.models.auto.video_processing_auto": _register_no_video_processor,
}


class _Registrar(MetaPathFinder):
    """Takes each step of `_STEPS` once, as soon as its module is there and no import is under way.

    Inside an import of transformers' or of ours, importing our model classes could come back round to a module that
    is only half there; so it waits until the outermost of these imports has ended. One thread's imports nest, and
    are counted, apart from another's.
    """

    def __init__(self):
        self.pending = dict(_STEPS)
        self.imports = threading.local()

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name.partition(".")[0] not in ("transformers", "fakeface"):
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def execute_then_register(module: ModuleType) -> None:
            self.during(lambda: execute(module))

        # The loader was made for this one import. It keeps its class, which inspect and importlib.resources ask about.
        spec.loader.exec_module = execute_then_register
        return spec

    def during(self, action: Callable[[], None]) -> None:
        """Run an import, then, if it was the outermost, the steps that are due."""
        depth = getattr(self.imports, "depth", 0)
        self.imports.depth = depth + 1
        try:
            action()
            if depth == 0:
                self.register()
        finally:
            self.imports.depth = depth

    def register(self) -> None:
        # A step's own imports may bring in the module of another, so look again after each.
        while due := [name for name in self.pending if name in sys.modules]:
            self.pending.pop(due[0])()
        if not self.pending and self in sys.meta_path:
            sys.meta_path.remove(self)


def install() -> None:
    """Register with the Auto classes that are imported already, and with the others when they will be."""
    if any(isinstance(finder, _Registrar) for finder in sys.meta_path):
        return
    registrar = _Registrar()
    sys.meta_path.insert(0, registrar)
    registrar.during(lambda: None)
