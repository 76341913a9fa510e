"""Write a phantom: DICOM files under ``dicom/``, what they should show under ``truth/``."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from synthassay.cohorts.phantom.acquisition import acquire, stored_values
from synthassay.cohorts.phantom.anatomy import Anatomy, draw_anatomy
from synthassay.cohorts.phantom.dicom_writer import Slice, encode_dicom
from synthassay.cohorts.phantom.lesion import Lesion, draw_lesion
from synthassay.cohorts.phantom.plan import Patient, Study, plan_patients
from synthassay.cohorts.phantom.scene import Pose, Scene, render
from synthassay.cohorts.phantom.specs import PhantomSpec
from synthassay.cohorts.phantom.truth import LABELS, TruthWriter, is_complete
from synthassay.errors import UserError
from synthassay.records import Progress
from synthassay.seeding import numpy_generator
from synthassay.specs import canonical_json, digest_of
from synthassay.whole_files import write_whole

SPEC_FILE = "spec.json"
LEVEL_SD_MM = 1.0  # how exactly two studies of a patient hit the same level


def write_phantom(spec: PhantomSpec, out: Path, progress: Progress) -> None:
    """Write the phantom of ``spec`` under ``out``; equal specs give equal bytes with the same library versions.

    ``out/dicom/<site>/<patient>/study-<k>/image-<i>.dcm`` and ``out/dicom/labels.csv`` (columns file, lesion) are what
    a reader of scans gets. ``out/truth/`` holds ``truth.parquet``, ``noise_free.npy`` (``[n, h, w]`` float32, the scene
    before any device, about 1 = full signal), ``masks.npy`` (the lesion, ``[n, h, w]`` uint8) and ``structures.npy``
    (head, brain, ventricles and lesion, ``[n, h, w]`` uint8), in the table's row order.
    A folder that an interrupted call left is completed; a finished one is left as it is.
    Raises :class:`UserError` if ``out`` holds the phantom of another spec.
    """
    dicom, truth = out / "dicom", out / "truth"
    truth.mkdir(parents=True, exist_ok=True)
    _claim(spec, truth / SPEC_FILE)
    images = list(plan_images(spec))
    if is_complete(truth, dicom, [image.path for image in images]):
        return
    progress.start("phantom", len(images))
    writer = TruthWriter(truth, len(images), spec.size)
    for image, scene in _scenes(spec, images):
        path = dicom / image.path
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, encode_dicom(image, _measure(spec, image, scene)))
        writer.add(image, scene)
        progress.advance()
    writer.commit(dicom / LABELS)
    progress.finish()


def plan_images(spec: PhantomSpec) -> Iterator[Slice]:
    """Every image of the phantom in row order: by site, patient, study and slice."""
    digest = digest_of(spec.to_key())
    for patient in plan_patients(spec):
        device = spec.device_of(patient.site)
        for study in patient.studies:
            for index in range(len(study.offsets_mm)):
                yield Slice(patient, study, index, device, digest)


def _claim(spec: PhantomSpec, path: Path) -> None:
    content = (canonical_json(spec.to_key()) + "\n").encode()
    if not path.is_file():
        write_whole(path, content)
    elif path.read_bytes() != content:
        raise UserError("the output folder holds a phantom of other settings (truth/spec.json differs); "
                        "name an empty folder or delete that one")  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Person:
    """What a patient keeps from study to study."""

    patient: Patient
    anatomy: Anatomy
    lesion: Lesion | None


def _scenes(spec: PhantomSpec, images: list[Slice]) -> Iterator[tuple[Slice, Scene]]:
    person: _Person | None = None
    for image in images:
        if person is None or person.patient is not image.patient:
            person = _draw_person(spec, image.patient)
        yield image, _render(spec, person, image)


def _draw_person(spec: PhantomSpec, patient: Patient) -> _Person:
    name = ("phantom", spec.seed, patient.site.name, patient.number)
    anatomy = draw_anatomy(numpy_generator(*name, "anatomy"), patient.sex, spec.texture_beta)
    age = patient.studies[0].age
    lesion = draw_lesion(numpy_generator(*name, "lesion"), spec, anatomy, age) if patient.lesion else None
    return _Person(patient, anatomy, lesion)


def _render(spec: PhantomSpec, person: _Person, image: Slice) -> Scene:
    study = image.study
    lesion = None if person.lesion is None else person.lesion.grown(study.number - 1)
    return render(person.anatomy, age=study.age, pose=_pose(spec, image.patient, study),
                  offset_mm=study.offsets_mm[image.index], size=spec.size, strength=spec.texture_strength,
                  lesion=lesion)  # fmt: skip


def _pose(spec: PhantomSpec, patient: Patient, study: Study) -> Pose:
    rng = numpy_generator("phantom", spec.seed, patient.site.name, patient.number, "pose", study.number)
    x, y = rng.normal(0, spec.pose_shift_mm, 2)
    rotation = np.deg2rad(rng.normal(0, spec.pose_rotation_deg))
    return Pose(float(x), float(y), float(rotation), float(rng.normal(0, LEVEL_SD_MM)))


def _measure(spec: PhantomSpec, image: Slice, scene: Scene) -> NDArray[np.uint16]:
    patient, study = image.patient, image.study
    name = ("phantom", spec.seed, patient.site.name, patient.number)
    shading = numpy_generator(*name, "shading", study.number)  # one coil setting a study, shared by its slices
    noise = numpy_generator(*name, "noise", study.number, image.index)
    return stored_values(acquire(scene.signal, image.device, shading, noise), image.device)
