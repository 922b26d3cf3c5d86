"""Take the scenario elsewhere and bring one in; save the picture with what it shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import ipywidgets as ipw

from perfmodel.widgets.attempt import attempt
from perfmodel.widgets.figureview import Courier
from perfmodel.widgets.state import ExplorerState
from perfmodel.widgets.travel import FORMS

__all__ = ["Exchange"]

_MEDIA = {"svg": "image/svg+xml", "pdf": "application/pdf", "png": "image/png", "csv": "text/csv",
          "md": "text/markdown"}  # fmt: skip


class Exchange:
    """A text that follows the scenario, and buttons that copy, load and save.

    Parameters
    ----------
    state : ExplorerState
    failed : callable
        Told what went wrong, or the empty string.
    files : callable
        Formats to the files of the picture shown, content by name.
    """

    def __init__(
        self, state: ExplorerState, failed: Callable[[str], None],
        files: Callable[[tuple[str, ...]], Mapping[str, bytes]],
    ) -> None:  # fmt: skip
        self.state = state
        self._files = files
        self.form = ipw.Dropdown(
            description="as", options=list(FORMS), style={"description_width": "30px"},
            layout={"width": "190px"},
        )  # fmt: skip
        self.text = ipw.Textarea(
            placeholder="Python, a command line, JSON or a link",
            layout={"width": "auto", "height": "190px"},
            tooltip="copy from here, or paste any of the four and load it",
        )  # fmt: skip
        self.copy = _button("Copy", "put the text into the clipboard")
        self.load = _button("Load this text", "replace the scenario by what the text says")
        self.saves = {form: _button(form.upper(), f"save the picture as {form.upper()}, with its"
                                    " caption, parameters and provenance in it")
                      for form in ("svg", "pdf", "png")}  # fmt: skip
        self.saves |= {"csv": _button("data", "save what is drawn as CSV"),
                       "md": _button("caption", "save the caption as Markdown")}  # fmt: skip
        self.courier = Courier(failed)
        self.form.observe(lambda _: self.follow(), names="value")
        self.copy.on_click(lambda _: self.courier.copy_text(self.text.value))
        self.load.on_click(lambda _: attempt(lambda: state.load(self.text.value), failed))
        for form, button in self.saves.items():
            button.on_click(lambda _, form=form: attempt(lambda: self._save(form), failed))
        travel = ipw.HBox([self.form, self.copy, self.load])
        pictures = ipw.HBox([ipw.Label("save the picture as"), *self.saves.values()],
                            layout={"flex_flow": "row wrap"})  # fmt: skip
        self.box = ipw.Accordion(
            children=[ipw.VBox([travel, self.text, pictures, self.courier])],
            titles=("Take this elsewhere: Python, command line, JSON, link, picture",),
            selected_index=None,
        )

    def follow(self) -> None:
        """Write the present scenario."""
        text = FORMS[self.form.value](self.state.exploration)
        self.text.value = f"?{text}" if self.form.value == "link" else text

    def _save(self, form: str) -> None:
        files = self._files((form,) if form in ("svg", "pdf", "png") else ("svg",))
        name = next(n for n in files if n.endswith(f".{form}"))
        self.courier.save_file(name, files[name], _MEDIA[form])


def _button(text: str, tooltip: str) -> ipw.Button:
    return ipw.Button(description=text, tooltip=tooltip, layout={"width": "auto"})
