"""KID by optimiser step of the snapshots of one training."""

from markupsafe import Markup

from synthassay.reports.data import Selection
from synthassay.reports.figures.style import MUTED, PAPER, SERIES, drawing, new_axes, to_svg


def snapshot_plot(generator: str, chosen: Selection, name: str) -> Markup:
    """KID ± standard error of each candidate; the one that was sampled is filled."""
    with drawing():
        figure, axes = new_axes(3.9, 2.5, ["0.000"])
        steps = [candidate.step for candidate in chosen.candidates]
        values = [candidate.kid for candidate in chosen.candidates]
        errors = [candidate.standard_error for candidate in chosen.candidates]
        axes.errorbar(steps, values, yerr=errors, color=MUTED, linewidth=1.2, zorder=2)
        for step, value in zip(steps, values, strict=True):
            fill = SERIES[0] if step == chosen.chosen else PAPER
            axes.plot([step], [value], marker="o", markersize=6.5, color=SERIES[0], markerfacecolor=fill, zorder=3)
        axes.set_xlim(0, chosen.steps * 1.06)
        axes.set_xlabel("optimiser step")
        axes.tick_params(axis="y", labelsize=9, labelcolor=MUTED)
        axes.grid(axis="y")
        return to_svg(figure, name, f"KID of the snapshots of {generator} against validation patients")
