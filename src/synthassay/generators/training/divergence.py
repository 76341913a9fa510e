"""When a loss that is still finite says that a training has failed."""

from synthassay.generators.training.checkpoint import LossTable

GUARDED = "loss"  # of a family that descends on one loss; those of two networks against each other may rise for long
PATIENCE = 5  # windows in a row: one batch of rare images, or one bad step that Adam makes good, is no failure


def windows_above(losses: LossTable, factor: float | None) -> int:
    """How many of the last windows in a row have a loss far above that of the first, of the untrained network.

    Far is ``factor`` times what the loss has fallen by at its best, or times its size at first if that is more: a
    likelihood has no natural zero. Always 0 without a factor or without a loss of the name :data:`GUARDED`.
    """
    if factor is None or GUARDED not in losses.names or not losses.rows:
        return 0
    values = [row[losses.names.index(GUARDED)] for row in losses.rows]
    limit = values[0] + factor * max(values[0] - min(values), abs(values[0]))
    above = 0
    while values[-1 - above] > limit:  # ends at the first, which is not above itself
        above += 1
    return above
