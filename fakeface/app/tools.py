"""What assistants call, over the Model Context Protocol: Gradio's own server, with two things put right.

It hands addresses and `data:` pictures over as they came, so that ours are the limits and the words of a refusal, in a
list of pictures too. And it answers in JSON, where Gradio's answers with the repr of Python.
"""

import json
from typing import Any

from gradio import mcp as gradio_mcp
from gradio_client.utils import is_file_obj_with_meta
from mcp.types import TextContent


class Tools(gradio_mcp.GradioMCPServer):
    """Gradio's server for assistants, whose tools are the page's endpoints."""

    def convert_strings_to_filedata(self, value: Any, filedata_positions: list[list[str | int]]) -> Any:
        """Leave them: `Service.read` takes them."""
        return value

    def postprocess_output_data(self, data: Any, root_url: str) -> list[Any]:
        """A text of JSON for each output, and a picture for each file."""
        content: list[Any] = []
        for output in data:
            if isinstance(output, tuple):  # several outputs, as Gradio's client returns them
                content += self.postprocess_output_data(output, root_url)
            elif is_file_obj_with_meta(output):
                content += super().postprocess_output_data([output], root_url)
            elif output is not None:
                content.append(TextContent(type="text", text=json.dumps(output, ensure_ascii=False)))
        return content


def install() -> None:
    """Have `launch(mcp_server=True)` serve these."""
    gradio_mcp.GradioMCPServer = Tools
