"""A foreign model behind our protocol: noise from seeds in, images of the cohort's shape in [0, 1] out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from synthassay.errors import UserError
from synthassay.generators.fitting import resized
from synthassay.generators.foreign.specs import Axis, PretrainedSpec
from synthassay.generators.protocol import Conditions
from synthassay.seeding import noise_per_sample, torch_generator

Shape = tuple[int, ...]
# (noise [b, *noise_shape], class indices [b] or None, one CPU generator an image for further noise) → [b, c, (d,) h, w]
Draw = Callable[[Tensor, Tensor | None, Sequence[torch.Generator]], Tensor]
_COLOUR = 1 / 16  # grey levels by which the channels of a grey picture in RGB may differ


@dataclass(frozen=True, slots=True)
class ForeignModel:
    """Loaded weights on their device. ``classes``: how many class indices the model takes; None: it takes none."""

    draw: Draw
    noise_shape: Shape
    output_shape: Shape  # (c, (d,) h, w), in the model's own order of axes
    classes: int | None
    range: tuple[float, float]  # values of the output that become 0 and 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignSampler:
    """A :class:`~synthassay.generators.protocol.Sampler`. Every evaluation has ``batch_size`` rows, the last padded."""

    model: ForeignModel
    spec: PretrainedSpec
    shape: Shape  # of the cohort's images
    label_names: tuple[str, ...]
    device: torch.device

    @property
    def batch_size(self) -> int:
        """Rows of one evaluation, whatever the memory would hold."""
        return self.spec.sample_batch

    def sample(self, seeds: NDArray[np.int64], conditions: Conditions) -> NDArray[np.float32]:
        """See :meth:`~synthassay.generators.protocol.Sampler.sample`."""
        classes = self._classes(conditions, len(seeds))
        images = np.empty((len(seeds), *self.shape), np.float32)
        for start in range(0, len(seeds), self.batch_size):
            rows = np.arange(start, start + self.batch_size).clip(max=len(seeds) - 1)
            kept = min(self.batch_size, len(seeds) - start)
            drawn = self._drawn(seeds[rows], None if classes is None else classes[rows])[:kept]
            images[start : start + kept] = np.stack([self._fitted(image) for image in drawn])
        return images

    def _classes(self, conditions: Conditions, n: int) -> NDArray[np.int64] | None:
        if self.spec.labels is None:
            return None
        if "label" not in conditions or len(conditions["label"]) != n:
            raise UserError(f"{self.spec.name} draws images of a class; give a label for each of {n} images")
        codes = dict(enumerate(self.label_names))
        names = [codes.get(int(code)) for code in conditions["label"]]
        missing = [name for name in names if name not in self.spec.labels]
        if missing:
            found = "no label" if missing[0] is None else f"the label {missing[0]!r}"
            raise UserError(f"{self.spec.name}: an image is to have {found}; generator.labels has no class for it.\n"
                            f"It has: {', '.join(map(repr, self.spec.labels))}.")  # fmt: skip
        return np.array([self.spec.labels[str(name)] for name in names], np.int64)

    @torch.inference_mode()
    def _drawn(self, seeds: NDArray[np.int64], classes: NDArray[np.int64] | None) -> NDArray[np.float32]:
        """Images ``[b, c, (d,) h, w]`` in [0, 1], with the cohort's order of axes and the model's size."""
        purpose = self.spec.to_key()["kind"]
        noise = noise_per_sample(seeds, self.model.noise_shape, purpose).to(self.device)
        further = [torch_generator("sample", purpose, "steps", int(seed)) for seed in seeds]
        codes = None if classes is None else torch.from_numpy(classes).to(self.device)
        output = self.model.draw(noise, codes, further).float()
        if not bool(torch.isfinite(output).all()):
            raise UserError(f"{self.spec.name} drew values that are not finite.\n"
                            "Check its steps, scheduler and scale factor against the model's own description."
                            )  # fmt: skip
        low, high = self.model.range
        images: NDArray[np.float32] = ((output - low) / (high - low)).clamp(0.0, 1.0).cpu().numpy()
        return turned(images, self.spec.axes)

    def _fitted(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """``[c, (d,) h, w]`` with the cohort's channels and size."""
        if len(image) != self.shape[0]:
            image = _rechannelled(image, self.shape[0], self.spec.name)
        if image.shape[1:] != self.shape[1:]:
            image = resized(image, self.shape[1:], "crop").astype(np.float32)
        return image


def turned(images: NDArray[np.float32], axes: Sequence[Axis] | None) -> NDArray[np.float32]:
    """``[b, c, …]`` whose spatial axes are ``axes`` in the cohort's terms, in the cohort's order (d,) h, w."""
    if axes is None:
        return images
    letters = [axis[-1] for axis in axes]
    backwards = tuple(2 + i for i, axis in enumerate(axes) if axis.startswith("-"))
    order = [2 + letters.index(letter) for letter in sorted(letters)]  # d, h, w stand in the order of the alphabet
    ordered: NDArray[np.float32] = np.flip(images, backwards).transpose(0, 1, *order)
    return ordered


def _rechannelled(image: NDArray[np.float32], channels: int, name: str) -> NDArray[np.float32]:
    if len(image) == 1:
        return np.repeat(image, channels, axis=0)
    if float(np.ptp(image, axis=0).max()) > _COLOUR:
        raise UserError(f"{name} draws colour images (their channels differ), and the cohort has {channels} channel.\n"
                        "Prepare the cohort with cohort.channels=3.")  # fmt: skip
    grey: NDArray[np.float32] = image.mean(axis=0, keepdims=True)
    return grey


def check_output(spec: PretrainedSpec, output: Shape, shape: Shape) -> None:
    """That images of ``output`` (c, …) may be brought to the cohort's ``shape``, as far as ``spec`` allows."""
    if len(output) != len(shape):
        raise UserError(f"{spec.name} draws images of {len(output) - 1} dimensions, and the cohort has images of "
                        f"{len(shape) - 1}.\nPrepare it with cohort.dimensions={len(output) - 1}.")  # fmt: skip
    if spec.axes is not None and len(spec.axes) != len(output) - 1:
        raise UserError(f"generator.axes names {len(spec.axes)} axes, and {spec.name} has {len(output) - 1}.")
    output = turned(np.empty((1, *output), np.float32), spec.axes).shape[1:]
    advice = []
    if output[0] != shape[0]:
        if {output[0], shape[0]} != {1, 3}:
            raise UserError(
                f"{spec.name} draws {output[0]} channels, and the cohort has {shape[0]}; only 1 and 3 match."
            )
        if spec.channels != "match":
            advice.append("set generator.channels=match to turn grey into RGB or three like channels into grey")
    if output[1:] != shape[1:] and not spec.resize:
        advice.append("set generator.resize=true to resample")
    if advice:
        raise UserError(f"{spec.name} draws {_shape(output)} (channels first), the cohort has {_shape(shape)};\n"
                        f"{', and '.join(advice)}.")  # fmt: skip


def _shape(shape: Shape) -> str:
    return " × ".join(map(str, shape))
