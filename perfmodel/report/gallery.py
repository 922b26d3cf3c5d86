"""The gallery: every figure with the question that it answers and the two lines that draw it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from perfmodel.figures import Kind

__all__ = ["gallery_markdown", "lines_for"]

_HEAD = """# Gallery

Every figure that `perfmodel figures -o DIR` writes, in the order of the write-up, then those that the page
of failures has besides. Each has the question that somebody in the thread of 2020 asked, or would have; the
claims that it bears on (`perfmodel claims` evaluates them); and the two lines that draw it in a notebook,
after

```python
import perfmodel as pm
from perfmodel.figures import Inputs, figure

inputs = Inputs.shipped("xeon-vm-6.18")  # the profile, and the recorded run that it was not fitted to
```

Made by `python calibration/gallery.py`.
"""


def lines_for(kind: Kind) -> str:
    """Return the two lines of Python that draw a figure."""
    return f'kind = figure("{kind.name}")\nkind.drawn(kind.build(inputs))'


def gallery_markdown(
    sections: Mapping[str, Sequence[Kind]], captions: Mapping[str, str], folder: str
) -> str:
    """Return the gallery.

    Parameters
    ----------
    sections : mapping of str to sequence of Kind
        Heading to figures.
    captions : mapping of str to str
        By name; a figure without one is left out, as it was not drawn.
    folder : str
        Of the pictures, from the page.
    """
    parts = [_HEAD]
    for heading, kinds in sections.items():
        parts.append(f"## {heading}\n")
        for kind in kinds:
            if kind.name not in captions:
                continue
            claims = f" ({', '.join(kind.claims)})" if kind.claims else ""
            parts.append(
                f"### {kind.question}\n\n"
                f"![{kind.question}]({folder}/{kind.name}.png)\n\n"
                f"`{kind.name}`{claims}: {captions[kind.name]}\n\n"
                f"```python\n{lines_for(kind)}\n```\n"
            )
    return "\n".join(parts)
