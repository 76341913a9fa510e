"""What all sets of a run share: the real sets, their neighbourhoods, and the floors."""

from collections.abc import Callable, Hashable, Iterable
from copy import copy
from dataclasses import dataclass
from typing import Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from synthassay.errors import UserError
from synthassay.metrics.catalogue import TEST, TRAIN, asked, frechet_name
from synthassay.metrics.estimates import Estimates, core_estimates, most_neighbours
from synthassay.metrics.graph import Keep, described_with
from synthassay.metrics.groups import ALL, Group, groups_of, rows_in, whole_patient_subset
from synthassay.metrics.intervals import unit_codes
from synthassay.metrics.neighbours import SetDescription, Variant, describe, enough_neighbours
from synthassay.metrics.points import Points, centred_points, checked_tensor, mean_of
from synthassay.metrics.set_level import Question, computations, set_level_estimates
from synthassay.metrics.specs import FidelitySpec
from synthassay.metrics.split_halves import complementary_halves
from synthassay.records import FeatureSet, content_digest, identity_differences
from synthassay.seeding import numpy_generator
from synthassay.team import current_team

T = TypeVar("T")
Step = Callable[[], None]


@dataclass(frozen=True, slots=True)
class PreparedSet:
    """A feature set with rows ordered by patient, and the same rows as points."""

    features: FeatureSet
    points: Points

    def rows(self, group: Group) -> NDArray[np.int64]:
        """Row indices of a group."""
        return rows_in(self.features, group)

    def counts(self, rows: NDArray[np.int64]) -> tuple[int, int]:
        """Images and patients among ``rows``."""
        return len(rows), len(np.unique(self.points.units[rows]))

    def matched(self, rows: NDArray[np.int64], n: int, *purpose: str | int) -> NDArray[np.int64]:
        """``n`` of ``rows`` by whole patients in a seeded order; all of them if there are no more."""
        if len(rows) <= n:
            return rows
        chosen: NDArray[np.int64] = rows[whole_patient_subset(self.points.units[rows], n, numpy_generator(*purpose))]
        return chosen


class ReferenceCache:
    """The real sides of one encoder: prepared once, and used for every set under test.

    Give the same object to each :func:`synthassay.metrics.fidelity.score_fidelity` call of a run; results are equal
    with and without it. Memory: about (1 + replicates) × 16 bytes a real image, group and variant. ``keep`` holds the
    neighbour graphs of the real sides beyond this process, as plain arrays; a team of processes does without.
    """

    def __init__(
        self, *, test: FeatureSet, control: FeatureSet, train: FeatureSet | None, spec: FidelitySpec, seed: int,
        device: str = "cpu", keep: Keep | None = None,
    ) -> None:  # fmt: skip
        if len(test) == 0:
            raise UserError("fidelity needs real test images, and the test split is empty")
        self.spec, self.seed, self.device, self.team = spec, seed, device, current_team()
        self._sources: tuple[FeatureSet, FeatureSet, FeatureSet | None] = (test, control, train)
        self._keep = keep if self.team.size == 1 else None
        self._memo: dict[Hashable, object] = {}
        self.encoder, self.encoder_identity = test.encoder, test.encoder_identity
        self._centre = mean_of(test.name, test.features)
        self.control = self.prepare(control)
        self.references = {TEST: self.prepare(test)}
        if train is not None:
            self.references[TRAIN] = self.prepare(train)
        self._name_references()

    def _name_references(self) -> None:
        self.content = {name: _content(item.features) for name, item in self.references.items()}
        self.groups = [ALL, *groups_of((item.features for item in self.references.values()), self.spec.groups)]

    def without_train(self) -> Self:
        """For sets of which it is not known who was trained on. All that does not rest on train is shared."""
        other = copy(self)
        other._sources = (*self._sources[:2], None)
        other.references = {TEST: self.references[TEST]}
        other._name_references()
        return other

    def serves(self, test: FeatureSet, control: FeatureSet, train: FeatureSet | None) -> bool:
        """Whether this cache was made for these very objects."""
        return all(a is b for a, b in zip(self._sources, (test, control, train), strict=True))

    def prepare(self, features: FeatureSet) -> PreparedSet:
        """Check a set against the test set (encoder, columns, finite values, distinct ids) and centre it."""
        differences = identity_differences(features.encoder_identity, self.encoder_identity)
        if features.encoder != self.encoder or differences:
            named = "; ".join(f"{name}: {a} and {b}" for name, a, b in differences) or "another name"
            raise UserError(f"'{features.name}' and the test set were not encoded alike ({named}); encode both with "
                            f"{self.encoder}")  # fmt: skip
        ids, counts = np.unique(features.ids, return_counts=True)
        if (counts > 1).any():
            row = int(np.flatnonzero(features.ids == ids[counts > 1][0])[1])
            raise UserError(f"'{features.name}' repeats an image id at row {row}; each row needs its own id")
        ordered = features.take(np.argsort(unit_codes(features.patients), kind="stable"))
        values = checked_tensor(features.name, ordered.features, self.device)
        return PreparedSet(ordered, centred_points(features.name, values, ordered.patients, self._centre))

    def remember(self, key: Hashable, build: Callable[[], T]) -> T:
        """The value made by ``build`` when ``key`` was first asked for."""
        if key not in self._memo:
            self._memo[key] = build()
        value: T = self._memo[key]  # type: ignore[assignment]
        return value

    def described(
        self, item: PreparedSet, rows: NDArray[np.int64], role: str, group: Group, *, real: bool = False
    ) -> SetDescription:  # fmt: skip
        """Neighbourhoods of ``rows``, with half-samples drawn for this role and group; those of ``real`` are kept."""
        points = item.points.take(rows)
        generator = numpy_generator("fidelity", "half-samples", self.seed, role, group.text)
        kept = complementary_halves(points.units, self.spec.replicates, generator)
        k = most_neighbours(self.spec)
        if real and self._keep is not None:
            return described_with(self._keep, points, kept, k)
        return describe(points, kept, k, self.team)

    def real(self, reference: str, group: Group) -> SetDescription:
        """The description of a reference's group."""
        item = self.references[reference]
        build = lambda: self.described(item, item.rows(group), reference, group, real=True)  # noqa: E731
        return self.remember(("real", reference, group), build)

    def control_rows(self, group: Group) -> NDArray[np.int64] | None:
        """Rows of control images that can be a floor; None if too few."""
        rows = self.control.rows(group)
        images, patients = self.control.counts(rows)
        if images < self.spec.min_group_images or patients < self.spec.min_group_patients:
            return None
        return rows if enough_neighbours(self.control.points.take(rows), most_neighbours(self.spec)) else None

    def floor(self, reference: str, group: Group, n: int, step: Step = lambda: None) -> Estimates:
        """Estimates of ``n`` control images against a reference's group; empty if the control cannot be a floor."""
        return self.remember(("floor", reference, group, n), lambda: self._floor(reference, group, n, step))

    def _floor(self, reference: str, group: Group, n: int, step: Step) -> Estimates:
        rows = self.control_rows(group)
        chosen = None if rows is None else self.control.matched(rows, n, "fidelity", "control", self.seed, group.text)
        if chosen is None or not enough_neighbours(self.control.points.take(chosen), most_neighbours(self.spec)):
            return {}
        synthetic = self.remember(
            ("control", group, n), lambda: self.described(self.control, chosen, "synthetic", group, real=True)
        )
        real = self.real(reference, group)
        return self.estimates(synthetic, real, reference, group, step)

    def estimates(
        self, synthetic: SetDescription, real: SetDescription, reference: str, group: Group, step: Step = lambda: None
    ) -> Estimates:
        """Every estimate of a described set against a described reference, in :func:`steps_of` steps."""
        name, trained_on = frechet_name(self.encoder), reference == TRAIN
        core = core_estimates(synthetic, real, self.spec, name, trained_on=trained_on, team=self.team)
        wanted = asked(self.encoder, reference, group, self.spec)
        question = Question(
            synthetic.points, real.points, self.references[TEST].points, self.spec, self.seed, self.team
        )
        step()
        found = core | set_level_estimates(question, wanted, step)
        return {key: found[key] for key in wanted}


def steps_of(wanted: Iterable[tuple[str, Variant]]) -> int:
    """How many times an estimate of ``wanted`` says that it has got further: the core, then each of the others."""
    return 1 + computations(wanted)


def _content(features: FeatureSet) -> str:
    return features.content_id or content_digest(features.features)
