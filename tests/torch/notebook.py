# SPDX-License-Identifier: Apache-2.0
"""examples/python.ipynb: docs/python.md as a notebook, from `pip install` to a retrained, exported model.

    python3 tests/torch/notebook.py    # writes it anew
"""

import json
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE, NOTEBOOK = ROOT / "docs/python.md", ROOT / "examples/python.ipynb"


def lines_of(text):
    return text.strip("\n").splitlines(keepends=True)


def made():
    """The notebook's text: the page's prose and blocks, without what needs a build of one's own (ort)."""
    text = re.sub(r"\]\(((?!http)[\w.-]+\.md)", r"](../docs/\1", PAGE.read_text()).replace("](../examples/", "](")
    parts = re.split(r"(?:<!-- needs: ([^>]*) -->\n)?```python\n(.*?)```\n", text, flags=re.S)
    cells = []
    for i in range(0, len(parts), 3):
        if parts[i].strip():
            cells.append({"cell_type": "markdown", "metadata": {}, "source": lines_of(parts[i])})
        if i + 2 < len(parts) and "ort" not in (parts[i + 1] or "").split(", "):
            cell = {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": []}
            cells.append({**cell, "source": lines_of(parts[i + 2])})
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    python = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook = {"cells": cells, "metadata": {"kernelspec": python}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    NOTEBOOK.write_text(made())
