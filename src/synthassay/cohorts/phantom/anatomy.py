"""A patient's head: the shapes that stay with the patient, and what age, sex and slice level make of them.

Lengths are millimetres, the origin is the centre of the head, x runs to the image's right and y to its bottom
(the patient's left and back). ``Soft`` memberships go from 0 to 1 over about a pixel, so edges are not jagged.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from synthassay.cohorts.phantom.texture import Texture

Array = NDArray[np.float64]

OUTLINE_WAVES = np.arange(2, 8)  # periods around the head of its perturbed outline
CORTEX_WAVES = np.arange(7, 23)  # of the border between cortex and white matter
WARP_MODES = 6
TABLE = 720  # samples around a contour


@dataclass(frozen=True, slots=True)
class Anatomy:
    """What is persistent in a patient. Angles are radians, lengths millimetres."""

    half_axes: tuple[float, float]  # of the head: left-right, front-back
    scalp: float
    skull: float
    outline: Array  # [TABLE] relative radius of the head's contour by angle
    cortex: Array  # [TABLE] relative radius of the inner border of the cortex by angle
    warp: Array  # [WARP_MODES, 6]: wave vector (2), phase (2), amplitude (2)
    sulci: Array  # [sulci, 6]: angle, depth, bend, relative width, amplitude and phase of its winding
    ventricle_residual: float  # log size, beyond what age explains
    asymmetry: float  # log ratio of the ventricles' sizes
    fissure_bend: float
    texture: Texture


def draw_anatomy(rng: np.random.Generator, sex: Literal["F", "M"], texture_beta: float) -> Anatomy:
    """A new patient. Men's heads are larger; women's scalps hold more fat, so their bright rim is wider."""
    lateral, front_back = (74.0, 92.0) if sex == "M" else (70.0, 87.5)
    scalp = 3.8 if sex == "M" else 5.8
    waves = rng.uniform(-1, 1, (WARP_MODES, 2)) * 2 * np.pi / 70
    phases = rng.uniform(0, 2 * np.pi, (WARP_MODES, 2))
    amplitudes = rng.normal(0, 1.5, (WARP_MODES, 2))
    return Anatomy(
        half_axes=(lateral + rng.normal(0, 2.2), front_back + rng.normal(0, 2.6)),
        scalp=scalp + rng.normal(0, 0.6),
        skull=5.0 + rng.normal(0, 0.6),
        outline=_fourier(rng, OUTLINE_WAVES, 0.012, decay=1.0),
        cortex=_fourier(rng, CORTEX_WAVES, 0.018, decay=0.3),
        warp=np.concatenate([waves, phases, amplitudes], axis=1),
        sulci=_draw_sulci(rng),
        ventricle_residual=rng.normal(0, 0.12),
        asymmetry=rng.normal(0, 0.1),
        fissure_bend=rng.normal(0, 1.5),
        texture=Texture(rng, texture_beta),
    )


def _draw_sulci(rng: np.random.Generator) -> Array:
    """Sulci all around the brain, at about equal distances; the columns are those of ``Anatomy.sulci``."""
    count = int(rng.integers(15, 21))
    spacing = 2 * np.pi / count
    angle = np.arange(count) * spacing + rng.uniform(-0.3, 0.3, count) * spacing + rng.uniform(0, spacing)
    columns = (angle, rng.uniform(8, 21, count), rng.normal(0, 0.18, count), rng.uniform(0.6, 1.5, count),
               rng.uniform(0.5, 2.2, count), rng.uniform(0, 2 * np.pi, count))  # fmt: skip
    return np.stack(columns, axis=1)


def _fourier(rng: np.random.Generator, waves: NDArray[np.int64], scale: float, *, decay: float) -> Array:
    """A random relative radius around 1 as a table over the angle: smooth, periodic."""
    angle = np.arange(TABLE) * 2 * np.pi / TABLE
    size = scale * (waves / waves[0]) ** -decay
    phase = rng.uniform(0, 2 * np.pi, len(waves))
    height = rng.normal(0, 1, len(waves)) * size
    return np.asarray(1 + (height[:, None] * np.cos(waves[:, None] * angle + phase[:, None])).sum(0))


def lookup(table: Array, angle: Array) -> Array:
    """A contour table at any angles (radians)."""
    position = (angle / (2 * np.pi)) % 1.0 * TABLE
    index = position.astype(np.int64)
    share = position - index
    return np.asarray(table[index % TABLE] * (1 - share) + table[(index + 1) % TABLE] * share)


def ventricle_scale(age: float) -> float:
    """Relative width of the ventricles: they grow with age, faster after 60."""
    return 0.72 + 0.0065 * (age - 20) + 0.00012 * max(0.0, age - 60) ** 2


def sulcus_width(age: float) -> float:
    """Half width of a sulcus in millimetres: they widen with age."""
    return 0.65 + 0.014 * max(0.0, age - 20)


def warped(anatomy: Anatomy, x: Array, y: Array) -> tuple[Array, Array]:
    """Points of the head mapped to the common template, by the patient's smooth deformation."""
    kx, ky, px, py, ax, ay = (column[:, None] for column in anatomy.warp.T)
    shape, flat_x, flat_y = x.shape, x.ravel(), y.ravel()
    wave = kx * flat_x + ky * flat_y
    warped_x = flat_x + (ax * np.sin(wave + px)).sum(0)
    warped_y = flat_y + (ay * np.sin(wave + py)).sum(0)
    return warped_x.reshape(shape), warped_y.reshape(shape)


def head_radius(anatomy: Anatomy, angle: Array, level_mm: float) -> Array:
    """Radius of the skin at ``angle`` in the slice ``level_mm`` above the ventricles."""
    shrink = np.sqrt(max(0.05, 1 - (level_mm / 95.0) ** 2))
    lateral, front_back = (axis * shrink for axis in anatomy.half_axes)
    cos, sin = np.cos(angle), np.sin(angle)
    ellipse = lateral * front_back / np.hypot(front_back * cos, lateral * sin)
    egg = 1 + 0.018 * np.sin(angle) - 0.012 * np.sin(3 * angle)  # narrower in front than behind
    return np.asarray(ellipse * egg * lookup(anatomy.outline, angle))


def brain_radius(anatomy: Anatomy, angle: Array, level_mm: float) -> Array:
    """Radius of the brain's surface: the skin less scalp, skull and the fluid under it."""
    return head_radius(anatomy, angle, level_mm) - anatomy.scalp - anatomy.skull - 1.5


def ventricles(anatomy: Anatomy, x: Array, y: Array, age: float, level_mm: float, edge_mm: float) -> Array:
    """Soft membership of the ventricles at template points ``x``, ``y``."""
    level = max(0.3, 1 - (level_mm / 38.0) ** 2)
    width = ventricle_scale(age) * np.exp(anatomy.ventricle_residual) * level
    inside = _ellipse(x, y, 0.0, 9.0, 1.7 * width, 9.0 * level, 0.0, edge_mm)
    for side in (-1.0, 1.0):
        scale = width * np.exp(side * anatomy.asymmetry / 2)
        front = _ellipse(x, y, side * (5.5 + 3.5 * scale), -17.0, 5.0 * scale, 15.0 * np.sqrt(scale), side * -0.32,
                         edge_mm)  # fmt: skip
        back = _ellipse(x, y, side * (17.0 + 3.0 * scale), 27.0, 5.2 * scale, 15.0 * np.sqrt(scale), side * 0.42,
                        edge_mm)  # fmt: skip
        inside = np.maximum(inside, np.maximum(front, back))
    return inside


def deep_grey(x: Array, y: Array, edge_mm: float) -> Array:
    """Soft membership of caudate, putamen and thalamus at template points."""
    inside = np.zeros_like(x)
    for side in (-1.0, 1.0):
        caudate = _ellipse(x, y, side * 15.5, -15.0, 4.0, 9.0, side * -0.3, edge_mm)
        putamen = _ellipse(x, y, side * 28.0, -3.0, 5.0, 15.0, side * -0.22, edge_mm)
        thalamus = _ellipse(x, y, side * 9.5, 11.0, 6.5, 11.0, side * -0.3, edge_mm)
        inside = np.maximum.reduce([inside, caudate, putamen, thalamus])
    return inside


def _ellipse(x: Array, y: Array, cx: float, cy: float, a: float, b: float, turn: float, edge_mm: float) -> Array:
    """Soft membership of an ellipse at (cx, cy) with half axes a (along x) and b, turned by ``turn`` radians."""
    cos, sin = np.cos(turn), np.sin(turn)
    u, v = (x - cx) * cos + (y - cy) * sin, (y - cy) * cos - (x - cx) * sin
    depth = (1 - np.hypot(u / a, v / b)) * min(a, b)
    return np.asarray(expit(depth / edge_mm))


def sulci(
    anatomy: Anatomy, radius: Array, angle: Array, surface: Array, age: float, edge_mm: float
) -> tuple[Array, Array]:
    """Soft membership of the sulci's fluid and of the cortex that lines them, at polar template points.

    A slit finer than a pixel is drawn wider and fainter (partial volume), so that no dotted lines appear.
    """
    fluid, lining = np.zeros_like(radius), np.zeros_like(radius)
    below = surface - radius  # depth under the surface
    near = (below > -6) & (below < 34)  # elsewhere both are 0, and most of the image is elsewhere
    below, radius, angle = below[near], radius[near], angle[near]
    near_fluid, near_lining = fluid[near], lining[near]
    for start, depth, bend, relative, winding, phase in anatomy.sulci:
        turn = angle - start - bend * below / 25.0
        across = (np.mod(turn + np.pi, 2 * np.pi) - np.pi) * radius + winding * np.sin(below / 4.0 + phase)
        close = np.abs(across) < 12
        slit, under = across[close], below[close]
        width = sulcus_width(age) * relative
        drawn = np.hypot(width, 1.3 * edge_mm)
        opening = width / drawn * np.exp(-0.5 * (slit / drawn) ** 2) * expit((depth - under) / 1.2)
        ribbon = expit((4.2 - np.abs(slit)) / 0.8) * expit((depth + 3.5 - under) / 1.0)
        near_fluid[close] = np.maximum(near_fluid[close], opening)
        near_lining[close] = np.maximum(near_lining[close], ribbon)
    fluid[near], lining[near] = near_fluid, near_lining
    return fluid, lining


def fissure(anatomy: Anatomy, x: Array, y: Array, age: float) -> Array:
    """Soft membership of the fluid between the hemispheres, open in front of and behind the deep brain."""
    bent = x - anatomy.fissure_bend * np.sin(np.pi * y / 90.0)
    width = 0.5 * sulcus_width(age) + 0.5
    open_ends = np.maximum(expit((-36.0 - y) / 2.0), expit((y - 44.0) / 2.0))
    return np.asarray(np.exp(-0.5 * (bent / width) ** 2) * open_ends)
