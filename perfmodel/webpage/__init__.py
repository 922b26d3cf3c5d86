"""The explorer as one self-contained HTML page: opened from a disk, mailed to a list.

`translate` turns the model's own Python into JavaScript, so that the page answers with the numbers of
`perfmodel predict --solver closed`; `content` adds the machines, the controls and the presets, `prepared`
the answers to presets that the closed forms leave to other solvers; `page` puts it all
into one file with the view in ``static/``.
"""

from __future__ import annotations

from perfmodel.webpage.page import page_html

__all__ = ["page_html"]
