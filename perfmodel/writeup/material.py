"""What the sections of the write-up are made from: one machine, its runs, and every answer asked once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perfmodel.errors import InputError, MissingExtraError
from perfmodel.report.blocks import Picture
from perfmodel.writeup.numbering import ref

if TYPE_CHECKING:
    import pandas as pd

    from perfmodel.breakeven import BreakEven
    from perfmodel.claims import ClaimTable
    from perfmodel.counterfactual import Comparison
    from perfmodel.counterfactual.document import Run
    from perfmodel.experiment import Recorded
    from perfmodel.figures import Kind
    from perfmodel.machine import Machine
    from perfmodel.observations import ObservationTable
    from perfmodel.prediction import Prediction
    from perfmodel.published.result import PublishedTable
    from perfmodel.scenario import Scenario
    from perfmodel.validation import Validation

__all__ = ["Drawn", "Material", "recorded_runs"]

#: What a figure draws of that which a section has asked for, too.
_ASKED_OF = {"validation": ("validation",), "kernel_experiment": ("experiment",)}

#: Characters of a caption in the document; the whole of it stands beside the figure.
CAPTION = 420


@dataclass(frozen=True)
class Drawn:
    """A figure of the write-up.

    Parameters
    ----------
    title, caption, alt : str
    files : mapping of str to bytes
        Pictures, data and caption, by file name.
    """

    title: str
    caption: str
    alt: str
    files: Mapping[str, bytes]


def recorded_runs(machine: Machine) -> tuple[Path, ...]:
    """Return the shipped runs of a machine that its profile was not fitted to, with their traces."""
    import hashlib

    from perfmodel.readers.bench_json import companion_trace
    from perfmodel.resources import calibration_path

    try:
        folder = calibration_path("data", machine.name)
    except InputError:
        return ()
    fitted = {f.sha256 for f in machine.inputs}
    runs = [
        path for path in sorted(folder.glob("run-*.json"))
        if hashlib.sha256(path.read_bytes()).hexdigest() not in fitted
    ]  # fmt: skip
    return tuple(p for run in runs for p in (run, companion_trace(run)) if p is not None)


@dataclass(eq=False)
class Material:
    """Every number of the write-up; what several sections need is computed once.

    Parameters
    ----------
    machine : Machine
        The costs.
    run : ObservationTable, optional
        A run that the profile was not fitted to: what the predictions are held against.
    draws : int
        Draws behind the intervals.
    appendix : bool
        Whether to draw what no section shows, too.
    progress : callable
        Told in a few words what is being done.
    """

    machine: Machine
    run: ObservationTable | None = None
    draws: int = 400
    appendix: bool = False
    progress: Callable[[str], None] = lambda _: None
    drawn: dict[str, Drawn] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    _asked: dict[Any, Any] = field(default_factory=dict)

    def _once(self, key: tuple[Any, ...], what: str, make: Callable[[], Any]) -> Any:
        if key not in self._asked:
            self.progress(what)
            self._asked[key] = make()
        return self._asked[key]

    def scenario(self, preset: str, kernel: str | None = None) -> Scenario:
        """Return a preset on this machine, on its own kernel or another."""
        from perfmodel.kernel import Kernel
        from perfmodel.presets import PRESETS
        from perfmodel.scenario import Scenario

        made = Scenario.from_dict(PRESETS[preset].parameters, machine=self.machine)
        return made if kernel is None else made.replace(kernel=Kernel(kernel))

    def prediction(self, preset: str, kernel: str | None = None) -> Prediction:
        """Return the prediction of a preset."""
        from perfmodel.prediction import predict

        asked = self.scenario(preset, kernel)
        key = ("prediction", preset, asked.kernel.release)
        return self._once(  # type: ignore[no-any-return]
            key,
            f"prediction: {preset}, {asked.kernel.release}",
            lambda: predict(asked, draws=self.draws),
        )

    def break_even(self, preset: str, over: str) -> BreakEven:
        """Return where the verdict of a preset turns."""
        from perfmodel.breakeven import break_even

        asked = self.scenario(preset)
        return self._once(  # type: ignore[no-any-return]
            ("break-even", preset, over), f"break-even: {preset} over {over}",
            lambda: break_even(asked, over, points=25, draws=min(self.draws, 100)),
        )  # fmt: skip

    @cached_property
    def claims(self) -> ClaimTable:
        """The mail's claims and the rule of 2006, evaluated."""
        from perfmodel.claims import evaluate_claims

        self.progress("claims")
        return evaluate_claims(self.machine, draws=self.draws)

    @cached_property
    def validation(self) -> Validation | None:
        """The profile against the run; None without one."""
        from perfmodel.validation import validate

        if self.run is None:
            return None
        self.progress("validation")
        return validate(self.machine, self.run)

    @cached_property
    def natural(self) -> pd.DataFrame | None:
        """What munmap and mprotect did to faults in the run; None where it holds no such faults."""
        from perfmodel.fit.natural import natural_experiment

        if self.run is None:
            return None
        self.progress("natural experiment")
        found = natural_experiment(self.machine, self.run)
        return None if found.empty else found

    @cached_property
    def published(self) -> PublishedTable | str:
        """Published pairs beside the model; or why they are not compared."""
        from perfmodel.published import load_published
        from perfmodel.published.pairs import compare_all

        self.progress("published pairs")
        try:
            return compare_all(load_published(), measured=self.machine, draws=self.draws)
        except MissingExtraError as error:
            return str(error)

    @cached_property
    def experiment(self) -> Recorded:
        """The recorded experiment with a kernel that downgrades."""
        from perfmodel.experiment import recorded

        self.progress("kernel experiment")
        return recorded()

    @cached_property
    def downgradable(self) -> tuple[Run, tuple[Comparison, ...]] | None:
        """The last recorded run of a lock that one can downgrade, with the predictions kept beside it."""
        from perfmodel.counterfactual import compare_run, kept, load, recorded

        runs = [(load(p).started, p) for p in recorded()]
        if not runs:
            return None
        self.progress("downgradable lock")
        path = max(runs)[1]
        run = load(path)
        return run, compare_run(run, kept(path, run))

    def figure(self, name: str, width: str = "page") -> list[Picture]:
        """Return a figure, drawn; nothing where it cannot be drawn, which `missing` then explains.

        Parameters
        ----------
        name : str
        width : {"page", "column"}
            Of the figure, if it reads there.
        """
        from perfmodel.figures import Inputs, figure
        from perfmodel.figures.style import COLUMN

        kind = figure(name).at(width)
        known = {n: getattr(self, n) for n in _ASKED_OF.get(name, ())}
        self.progress(f"figure {name}")
        made = draw(kind, Inputs(self.machine, self.run, self.run, **known))
        if isinstance(made, str):
            self.missing[name] = made
            return []
        self.drawn[name] = made
        # The captions beside the files are Markdown.
        words = made.caption.replace("`", "")
        return [
            Picture(
                f"figures/{name}.svg", f"{made.title}. {shortened(words)}", made.alt, words,
                ref("figure", name), narrow=kind.size[0] == COLUMN,
            )
        ]  # fmt: skip


def draw(kind: Kind, inputs: Any, formats: Sequence[str] = ("svg", "pdf")) -> Drawn | str:
    """Return a figure's files and words, or the reason why there is nothing to draw."""
    from dataclasses import replace

    from perfmodel.figures.writing import make

    try:
        spec = kind.build(inputs)
    except MissingExtraError as error:
        return str(error)
    made = make(replace(kind, build=lambda _: spec), inputs, formats)
    if isinstance(made, str):
        return made
    return Drawn(kind.title(spec), kind.caption(spec), kind.alt(spec), made)


def shortened(text: str, most: int = CAPTION) -> str:
    """Return the first sentences of a caption, and the one that says what it rests on."""
    import re

    sentences = re.split(r"(?<=[.])\s+(?=[A-Z0-9])", text)
    kept: list[str] = []
    for sentence in sentences:
        if kept and sum(map(len, kept)) + len(sentence) > most:
            break
        kept.append(sentence)
    rests = [s for s in sentences if s.startswith("Evidence:") and s not in kept]
    return " ".join([*kept, *rests]) or text
