"""The noise-free scene: an anatomy in a pose, with or without a lesion, as a signal image."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from synthassay.cohorts.phantom import anatomy as heads
from synthassay.cohorts.phantom.anatomy import Anatomy, Array
from synthassay.cohorts.phantom.lesion import Lesion, lesion_profile

FIELD_OF_VIEW_MM = 220.0

# Signal of the tissues in a FLAIR-like contrast, 1 = full signal.
AIR, SKULL, FLUID, FAT, GREY, WHITE = 0.012, 0.07, 0.09, 0.80, 0.54, 0.42
STRUCTURES = ("background", "head", "brain", "ventricles", "lesion")  # each lies within those before it


@dataclass(frozen=True, slots=True)
class Pose:
    """Where the head lies in the scanner: shift of its centre (mm), rotation (radians), slice level error (mm)."""

    shift_x: float = 0.0
    shift_y: float = 0.0
    rotation: float = 0.0
    level: float = 0.0


@dataclass(frozen=True, slots=True)
class Scene:
    """``signal`` ``[h, w]`` float32 in [0, about 1.2]; ``mask`` ``[h, w]`` uint8, 1 in the lesion; its place in pixels.

    ``structures`` ``[h, w]`` uint8: the innermost of :data:`STRUCTURES` at each pixel.
    ``centre`` (row, column; the centre of pixel 0 is 0.0) and ``radius_px`` are NaN without a lesion.
    ``ventricle_mm2`` is the area of the ventricles.
    """

    signal: NDArray[np.float32]
    mask: NDArray[np.uint8]
    structures: NDArray[np.uint8]
    centre: tuple[float, float]
    radius_px: float
    ventricle_mm2: float


def pixel_spacing_mm(size: int) -> float:
    """Side of a pixel of a ``size`` by ``size`` image."""
    return FIELD_OF_VIEW_MM / size


def head_coordinates(size: int, pose: Pose) -> tuple[Array, Array]:
    """x and y of each pixel's centre in the head, ``[size, size]`` float64, millimetres."""
    axis = (np.arange(size) + 0.5) * pixel_spacing_mm(size) - FIELD_OF_VIEW_MM / 2
    x, y = np.meshgrid(axis - pose.shift_x, axis - pose.shift_y)
    cos, sin = np.cos(pose.rotation), np.sin(pose.rotation)
    return x * cos + y * sin, y * cos - x * sin


def pixel_of(size: int, pose: Pose, x: float, y: float) -> tuple[float, float]:
    """Row and column of a point of the head; the inverse of :func:`head_coordinates`."""
    cos, sin = np.cos(pose.rotation), np.sin(pose.rotation)
    column_mm, row_mm = x * cos - y * sin + pose.shift_x, x * sin + y * cos + pose.shift_y
    origin = FIELD_OF_VIEW_MM / 2
    spacing = pixel_spacing_mm(size)
    return float((row_mm + origin) / spacing - 0.5), float((column_mm + origin) / spacing - 0.5)


def render(
    anatomy: Anatomy, *, age: float, pose: Pose, offset_mm: float, size: int, strength: float, lesion: Lesion | None
) -> Scene:
    """One slice ``offset_mm`` from the level of the ventricles, as an ideal scanner would see it.

    ``strength`` is the standard deviation of the texture relative to the tissue's signal.
    """
    x, y = head_coordinates(size, pose)
    edge = 0.3 * pixel_spacing_mm(size)
    level = offset_mm + pose.level
    tissue, head, brain, ventricles = _tissues(anatomy, x, y, age, level, edge)
    signal = tissue * (1 + strength * anatomy.texture.at(x, y))
    mask = np.zeros((size, size), np.uint8)
    centre, radius_px = (np.nan, np.nan), np.nan
    shown = None if lesion is None else lesion.at_level(level)
    if shown is not None:
        profile = lesion_profile(shown, x, y) * brain * (1 - ventricles)
        signal = signal + shown.contrast * profile
        mask = (profile >= 0.5).astype(np.uint8)
        centre = pixel_of(size, pose, shown.x, shown.y)
        radius_px = shown.radius / pixel_spacing_mm(size)
    area = float(ventricles.sum()) * pixel_spacing_mm(size) ** 2
    structures = np.select([mask > 0, ventricles >= 0.5, brain >= 0.5, head >= 0.5], [4, 3, 2, 1]).astype(np.uint8)
    return Scene(np.maximum(signal, 0).astype(np.float32), mask, structures, centre, radius_px, area)


def _tissues(
    anatomy: Anatomy, x: Array, y: Array, age: float, level: float, edge: float
) -> tuple[Array, Array, Array, Array]:
    """Signal before texture and lesion, and the soft memberships of head, brain and ventricles, each ``[h, w]``."""
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    skin = heads.head_radius(anatomy, angle, level)
    surface = skin - anatomy.scalp - anatomy.skull - 1.5
    brain = expit((surface - radius) / edge)
    tx, ty = heads.warped(anatomy, x, y)
    # The folds follow the deformed template, but the surface is that of the patient.
    fold_radius, fold_angle = np.hypot(tx, ty), np.arctan2(ty, tx)
    fluid, lining = heads.sulci(anatomy, fold_radius, fold_angle, surface, age, edge)
    inner = surface * (0.88 * heads.lookup(anatomy.cortex, fold_angle))
    grey = np.maximum(expit((fold_radius - inner) / (2 * edge)), lining)
    grey = np.maximum(grey, heads.deep_grey(tx, ty, 2 * edge))
    ventricles = heads.ventricles(anatomy, tx, ty, age, level, edge) * brain
    fluid = np.maximum.reduce([fluid, ventricles, heads.fissure(anatomy, tx, ty, age)])
    inside = WHITE + (GREY - WHITE) * grey
    inside = inside + (FLUID - inside) * fluid
    head = expit((skin - radius) / edge)
    signal = AIR + (FAT - AIR) * head
    signal = signal + (SKULL - signal) * expit((skin - anatomy.scalp - radius) / edge)
    signal = signal + (FLUID - signal) * expit((surface + 1.5 - radius) / edge)
    return signal + (inside - signal) * brain, np.asarray(head), np.asarray(brain), ventricles
