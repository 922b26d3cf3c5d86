"""The write-up: a design note whose numbers, tables and figures are all made from models and data.

`document.compose` asks the questions, section by section (`sections`), and gives blocks;
`files.write` renders them as Markdown, HTML and LaTeX. A section is one module with one function.
"""

from __future__ import annotations

from perfmodel.writeup.document import TITLE, Document, compose
from perfmodel.writeup.files import check_folder, contents, write

__all__ = ["TITLE", "Document", "check_folder", "compose", "contents", "write"]
