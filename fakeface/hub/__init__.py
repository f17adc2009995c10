"""Talk to the Hugging Face Hub."""

from typing import TYPE_CHECKING

from ..utils.lazy import lazy_names

if TYPE_CHECKING:
    from .dataset_repo import fetch_dataset, push_dataset
    from .errors import HubError
    from .upload import Pushed, push_folder

__all__ = ["HubError", "Pushed", "fetch_dataset", "push_dataset", "push_folder"]

__getattr__ = lazy_names(
    __name__,
    {
        "errors": ["HubError"],
        "upload": ["Pushed", "push_folder"],
        "dataset_repo": ["fetch_dataset", "push_dataset"],
    },
)
