"""The kernel nobody ran: what the models foretell of a downgrading mprotect, and what one then did.

A 6.1 kernel whose mprotect can be told to downgrade runs in an emulated machine
(:mod:`perfmodel.measure.kernel_lab`). Its costs are fitted from calls in the order that Linux has. From
that profile alone each cut is predicted, point by point, and the prediction is written down
(`predict_run`, `write_prediction`). Then the cuts are measured, and `compare` puts both side by side.

Everything here is emulated: who waits for whom is Linux', what a nanosecond is worth is QEMU's.
"""

from __future__ import annotations

from perfmodel.experiment.compare import Row, Score, compare, score
from perfmodel.experiment.configuration import CUTS, Configuration
from perfmodel.experiment.document import Prediction, load_prediction, write_prediction
from perfmodel.experiment.measured import Slice, slices
from perfmodel.experiment.predicted import Predicted, configurations, predict_run
from perfmodel.experiment.quantities import QUANTITIES, Quantity
from perfmodel.experiment.recorded import Recorded, recorded

__all__ = [
    "CUTS", "QUANTITIES", "Configuration", "Predicted", "Prediction", "Quantity", "Recorded", "Row",
    "Score", "Slice", "compare", "configurations", "load_prediction", "predict_run", "recorded",
    "score", "slices", "write_prediction",
]  # fmt: skip
