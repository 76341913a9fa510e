"""Arrays of images in NPZ and HDF5 files: which arrays they are, and what others say about their rows."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from synthassay.scans.arrays import ArrayInfo, check_array, list_arrays, read_texts
from synthassay.scans.limits import LimitSpec, check_size
from synthassay.scans.unreadable import Unreadable


def image_arrays(path: Path, pattern: str, limits: LimitSpec) -> tuple[list[ArrayInfo], dict[str, ArrayInfo]]:
    """The arrays of a file that ``pattern`` names (``*`` stands for any text), and all its arrays by name.

    Raises :class:`Unreadable` where there are none, and for what is over ``limits``.
    """
    check_size(path, limits)
    arrays = list_arrays(path)
    images = [arrays[name] for name in arrays if fnmatchcase(name, pattern)]
    if not images:
        raise Unreadable("arrays", f"{len(arrays)} others", "no array is called as arrays.images says")
    for info in images:
        check_array(info, limits)
    return images, arrays


def check_rows(info: ArrayInfo, limits: LimitSpec) -> None:
    """Raises :class:`Unreadable` for an array of more rows than ``limits`` allow images."""
    if info.shape[0] > limits.images:
        raise Unreadable("shape", f"{info.shape[0]} images", "more than limits.images")


def row_path(file: str, info: ArrayInfo, row: int) -> str:
    """What the image in one row is called: the path of its file goes on inside it."""
    return f"{file}/{info.name}/{row:06d}"


def texts_of(
    path: Path, info: ArrayInfo, images: str, beside: str, arrays: Mapping[str, ArrayInfo], limits: LimitSpec,
    column: int | None = None,
) -> list[str]:  # fmt: skip
    """One text for each row of the images ``info``, from the array called ``beside``.

    ``*`` in ``beside`` is what it is in the name of the images, which the pattern ``images`` found. Raises
    :class:`Unreadable` where that array is not there or has another length.
    """
    before, _, after = images.partition("*")
    name = beside.replace("*", info.name[len(before) : len(info.name) - len(after)])
    if name not in arrays:
        raise Unreadable("arrays", "one is absent", "an array that the settings of arrays name is not there")
    check_array(arrays[name], limits)
    if arrays[name].shape[0] != info.shape[0]:
        found = f"{arrays[name].shape[0]} rows for {info.shape[0]} images"
        raise Unreadable("arrays", found, "an array about the images has another length than they")
    return read_texts(path, arrays[name], column)


def is_picture(shape: Sequence[int]) -> bool:
    """``[h, w]`` or ``[h, w, c]``: one image, whose rows are none."""
    return len(shape) == 2 or (len(shape) == 3 and not is_volume(shape))


def refuse_colours_first(shape: Sequence[int]) -> None:
    """Raises :class:`Unreadable` for ``[3, h, w]``, which may be three slices or, as PyTorch keeps them, colours."""
    if len(shape) == 3 and shape[0] == 3 and is_volume(shape):
        raise Unreadable("shape", "x".join(map(str, shape)), "three slices, or three colours first: which is not "
                         "known; save pictures as rows × columns × colours")  # fmt: skip


def is_volume(shape: Sequence[int]) -> bool:
    """``[d, h, w]`` or ``[d, h, w, c]``; three axes of which the last is as short as channels are a picture."""
    return len(shape) == 4 or (len(shape) == 3 and shape[2] > 4)
