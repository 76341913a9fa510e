"""The lesion: a bright blob with a soft, irregular edge, in white matter, that stays with the patient and grows."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import expit

from synthassay.cohorts.phantom.anatomy import TABLE, Anatomy, Array, brain_radius, lookup, ventricles, warped
from synthassay.cohorts.phantom.specs import PhantomSpec

EDGE_MM = 1.6  # width of the soft edge
CANDIDATES = 96
WAVES = np.arange(2, 6)


@dataclass(frozen=True, slots=True)
class Lesion:
    """A lesion in head coordinates (mm). ``contour`` ``[TABLE]`` is its relative radius by angle."""

    x: float
    y: float
    level: float  # of its centre
    radius: float
    contrast: float  # signal that it adds at its centre
    growth: float  # relative, from one study to the next
    contour: Array

    def grown(self, studies: int) -> "Lesion":
        """The lesion after that many further studies."""
        return replace(self, radius=self.radius * (1 + self.growth) ** studies)

    def at_level(self, level_mm: float) -> "Lesion | None":
        """Its cut at a slice level, or None where it is missed.

        A cut through the outer fifth of the ball counts as a miss: it would be a label that no reader could see.
        """
        height = abs(level_mm - self.level) / self.radius
        return None if height > 0.8 else replace(self, radius=self.radius * float(np.sqrt(1 - height**2)))


def draw_lesion(rng: np.random.Generator, spec: PhantomSpec, anatomy: Anatomy, age: float) -> Lesion:
    """A lesion somewhere in the white matter of ``anatomy``, clear of ventricles and cortex where there is room."""
    radius = rng.uniform(*spec.lesion_radius_mm)
    angle = rng.uniform(0, 2 * np.pi, CANDIDATES)
    share = np.sqrt(rng.uniform(0.35**2, 0.75**2, CANDIDATES))  # uniform by area
    limit = brain_radius(anatomy, angle, 0.0)
    x, y = share * limit * np.cos(angle), share * limit * np.sin(angle)
    around = np.arange(8) * np.pi / 4
    ring_x, ring_y = x[:, None] + radius * np.cos(around), y[:, None] + radius * np.sin(around)
    wet = ventricles(anatomy, *warped(anatomy, ring_x, ring_y), age, 0.0, 1.0).mean(1)
    outside = np.maximum(0, np.hypot(x, y) + radius - 0.95 * limit) / radius
    central = np.maximum(0, radius + 2 - np.abs(x)) / radius  # across the midline
    best = int(np.argmin(np.round(wet + outside + central, 2)))  # the first of equals, so the draw stays spread out
    height = rng.normal(0, 0.22, len(WAVES)) / WAVES
    phase = rng.uniform(0, 2 * np.pi, len(WAVES))
    table = np.arange(TABLE) * 2 * np.pi / TABLE
    contour = 1 + (height[:, None] * np.cos(WAVES[:, None] * table + phase[:, None])).sum(0)
    return Lesion(
        x=float(x[best]), y=float(y[best]), level=float(rng.normal(0, 0.5)), radius=float(radius),
        contrast=float(rng.uniform(*spec.lesion_contrast)), growth=float(rng.uniform(*spec.lesion_growth)),
        contour=contour,
    )  # fmt: skip


def lesion_profile(lesion: Lesion, x: Array, y: Array) -> Array:
    """The lesion's share of its contrast at head points (mm), float64 in [0, 1]; 0.5 on its contour."""
    dx, dy = x - lesion.x, y - lesion.y
    edge = lesion.radius * lookup(lesion.contour, np.arctan2(dy, dx))
    return np.asarray(expit((edge - np.hypot(dx, dy)) / EDGE_MM))
