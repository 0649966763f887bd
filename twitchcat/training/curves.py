"""The curves of a training run as CSV."""

import csv
import io
from collections.abc import Iterable
from dataclasses import asdict, fields

from twitchcat.training.loop import Epoch


def curves_csv(epochs: Iterable[Epoch]) -> str:
    """One line per epoch under a header; what there is not is empty."""
    out = io.StringIO()
    writer = csv.DictWriter(out, [field.name for field in fields(Epoch)], lineterminator="\n")
    writer.writeheader()
    for row in epochs:
        writer.writerow(
            {
                name: f"{value:.5g}" if isinstance(value, float) else value
                for name, value in asdict(row).items()
            }
        )
    return out.getvalue()
