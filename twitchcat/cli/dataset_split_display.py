"""How splits and what leaks between them look."""

from dataclasses import asdict
from typing import Any

from rich.table import Table

from twitchcat.cli.console import output
from twitchcat.cli.errors import print_error
from twitchcat.dataset.audit import AuditReport, Leak
from twitchcat.dataset.deal import SPLITS
from twitchcat.dataset.split import SplitCount, SplitReport

_SHOWN = 20  # leaks; --json has them all


def split_as_dict(report: SplitReport) -> dict[str, Any]:
    """The splits as JSON shows them."""
    return {
        "dealt": report.dealt,
        "channels": {split: list(logins) for split, logins in report.channels.items()},
        "frames": report.frames,
        "unassigned": sum(one.unassigned.frames for one in report.categories),
        "categories": [
            {
                "id": one.id,
                "name": one.name,
                **{split: asdict(getattr(one, split)) for split in (*SPLITS, "unassigned")},
                "warning": one.warning,
            }
            for one in report.categories
        ],
    }


def print_split(report: SplitReport) -> None:
    """Print the splits on stdout, warnings on stderr."""
    console = output()
    table = Table(box=None, pad_edge=False, title="channels / frames", title_justify="left")
    table.add_column("Category", overflow="fold")
    for split in SPLITS:
        table.add_column(split, justify="right", no_wrap=True)
    table.add_column("in none", justify="right", no_wrap=True)
    for one in report.categories:
        table.add_row(one.name, *(_cell(getattr(one, split)) for split in (*SPLITS, "unassigned")))
    if report.categories:
        console.print(table)
    told = ", ".join(
        f"{split} {len(report.channels[split])} channels, {report.frames[split]} frames" for split in SPLITS
    )
    console.print(f"{told[0].upper()}{told[1:]}.")
    if report.dealt:
        console.print(f"{report.dealt} channels were dealt; every other kept its split.")
    for warning in report.warnings:
        print_error(warning)


def audit_as_dict(report: AuditReport) -> dict[str, Any]:
    """The audit as JSON shows it."""
    return {
        "compared": report.compared,
        "encoders": list(report.encoders),
        "found": len(report.leaks),
        "dropped": report.dropped,
        "leaks": [asdict(leak) for leak in report.leaks],
    }


def print_audit(report: AuditReport) -> None:
    """Print what the audit found on stdout."""
    console = output()
    if report.leaks:
        table = Table(box=None, pad_edge=False)
        for name in (
            "Frame",
            "Split",
            "Channel",
            "Category",
            "resembles",
            "Split",
            "Channel",
            "Category",
            "By",
        ):
            table.add_column(name, overflow="fold")
        for leak in report.leaks[:_SHOWN]:
            sides = (
                (str(side.frame_id), side.split, side.channel, side.category)
                for side in (leak.frame, leak.resembles)
            )
            table.add_row(*(cell for side in sides for cell in side), _likeness(leak))
        console.print(table)
    if len(report.leaks) > _SHOWN:
        console.print(f"and {len(report.leaks) - _SHOWN} more; --json names all")
    compared = f"{report.compared} frames compared by their hashes"
    if report.encoders:
        compared += f" and the embeddings of {', '.join(report.encoders)}"
    console.print(f"{compared}: {len(report.leaks)} of a later split resemble one of an earlier split.")
    if report.dropped:
        console.print(f"{report.dropped} are in no split any more.")
    elif report.leaks:
        console.print("Take them out of the later split with twitchcat dataset split --audit --drop.")


def _cell(count: SplitCount) -> str:
    return f"{count.channels} / {count.frames}" if count.frames else "-"


def _likeness(leak: Leak) -> str:
    return f"{leak.bits} bits" if leak.bits is not None else f"{leak.cosine:.3f} {leak.encoder}"
