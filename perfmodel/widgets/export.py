"""The picture shown, as files: through the same machinery as the figures of the write-up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from perfmodel.errors import InputError
from perfmodel.figures.kind import Inputs, Kind
from perfmodel.figures.style import FORMATS, evidence, provenance
from perfmodel.figures.writing import make
from perfmodel.widgets.shown import VIEWS
from perfmodel.widgets.travel import to_document, to_query
from perfmodel.widgets.views import KINDS, Canvas, Scene
from perfmodel.widgets.views.canvas import DPI, HEIGHT, WIDTH

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from perfmodel.widgets.shown import Exploration

__all__ = ["picture_files"]


def picture_files(
    scene: Scene, exploration: Exploration, formats: Sequence[str]
) -> dict[str, bytes]:
    """Return the files of a view: pictures, the caption beside them, and the data drawn.

    Parameters
    ----------
    scene : Scene
        What is shown; nothing of it still being computed.
    exploration : Exploration
        From which anyone can make it again: it goes into the metadata of every picture.
    formats : sequence of {"svg", "pdf", "png"}

    Raises
    ------
    InputError
        If the picture is not finished, or a format is unknown.
    """
    for form in formats:
        if form not in FORMATS:
            raise InputError(f"there is no format {form!r}", field="formats",
                             expected="some of " + ", ".join(FORMATS))  # fmt: skip
    if scene.pending or scene.stale:
        raise InputError("the picture is still being computed", field="picture",
                         expected="a moment's patience")  # fmt: skip
    files = make(_kind(scene, exploration), Inputs(scene.question.scenario.machine), formats)
    if isinstance(files, str):  # `lacks` says nothing of a view, so there is always a picture
        raise InputError(files, field="picture")
    return files


def _kind(scene: Scene, exploration: Exploration) -> Kind:
    name = scene.question.shown.view
    verdict = scene.prediction.verdict.sentence
    machine = scene.question.scenario.machine

    def draw(scene: Scene, figure: Figure) -> None:
        # The axes have their places; a layout engine has nothing to arrange, and says so.
        figure.set_layout_engine("none")
        KINDS[name](Canvas(figure)).update(scene)

    def view() -> Any:
        return KINDS[name](Canvas())

    def caption(scene: Scene) -> str:
        told = view().update(scene)
        return f"{told} {verdict} Evidence: {evidence(machine)}. Link: ?{to_query(exploration)}"

    def source(scene: Scene) -> dict[str, Any]:
        return provenance(
            machine, scenario=exploration.scenario.to_dict(), evidence=evidence(machine)
        ) | {"caption": caption(scene), "explorer": to_document(exploration)}

    return Kind(
        name=f"explorer_{name}", size=(WIDTH / DPI, HEIGHT / DPI), question=VIEWS[name],
        build=lambda _: scene, draw=draw,
        title=lambda _: VIEWS[name], caption=caption, alt=lambda s: str(view().update(s)),
        rows=lambda s: view().rows(s), source=source,
    )  # fmt: skip
