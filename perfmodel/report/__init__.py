"""Tables and reports for people: one content, shown in a terminal, as HTML or as Markdown.

The content makers (`prediction`, `breakeven`, `calibration`, ...) give a list of blocks; the three
renderings (`terminal`, `html`, `markdown`) know blocks and nothing of their content.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType

    from perfmodel.prediction import Prediction

__all__ = ["prediction_html", "prediction_table"]


def prediction_table(prediction: Prediction) -> RenderableType:
    """Return a prediction as it is printed in a terminal."""
    from perfmodel.report.prediction import prediction_blocks
    from perfmodel.report.terminal import to_rich

    return to_rich(prediction_blocks(prediction))


def prediction_html(prediction: Prediction) -> str:
    """Return a prediction as an HTML fragment for a notebook; every text is escaped."""
    from perfmodel.report.html import to_fragment
    from perfmodel.report.prediction import prediction_blocks

    return to_fragment(prediction_blocks(prediction))
