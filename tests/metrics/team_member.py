"""One process of a team: ``team_member.py RANK SIZE MEETING OUTPUT`` computes a small cohort, as JSON."""

import json
import sys
from pathlib import Path

import numpy as np
import torch.distributed as dist

from synthassay.metrics import tiles
from synthassay.metrics.frechet import Moments, frechet_from_moments
from synthassay.metrics.halfsampling import half_samples
from synthassay.metrics.kid import kernel_distance
from synthassay.metrics.neighbours import Convention, compare, describe
from synthassay.metrics.points import centred_points
from synthassay.metrics.prdc import SCORES, manifold_scores
from synthassay.team import Team, current_team


def everything(team):
    """All that is shared by a team, for a small cohort."""
    random = np.random.default_rng(0)
    real, synthetic = random.standard_normal((90, 6)), 1.2 * random.standard_normal((70, 6))
    units = np.repeat(np.arange(30), 3)
    sides = []
    for rows, names in ((real, units), (synthetic, None)):
        held = centred_points("x", rows, names, real.mean(axis=0))
        sides.append(describe(held, half_samples(held.units, 10, np.random.default_rng(1)), 5, team))
    convention = Convention(5)
    comparison = compare(sides[1], sides[0], (convention,), team)
    scores = manifold_scores(sides[1], sides[0], comparison, convention)
    distance = kernel_distance(sides[1].kernel, sides[0].kernel, comparison.kernel, patient_aware=True)
    moments = [Moments(side.points, team) for side in sides]
    return [
        *(getattr(scores[v], score).tolist() for v in scores for score in SCORES), comparison.nearest.tolist(),
        [distance.value, distance.standard_error], [frechet_from_moments(*moments).value],
    ]  # fmt: skip


def main(rank: int, size: int, meeting: str, output: str) -> None:
    tiles.tile_side = lambda *_: 16  # many tiles, so that each process has some
    if size > 1:
        dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=size)
    team = current_team()
    assert team == Team(rank, size)
    Path(output).write_text(json.dumps(everything(team)))
    if size > 1:
        dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:])
