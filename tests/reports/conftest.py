"""A made-up run: three generated sets and four controls, every status, on a cohort that never existed."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from synthassay.records import CohortTable, MetricResult, identity
from synthassay.reports.data import (
    CohortCount,
    CohortSummary,
    CopiedPair,
    GridCell,
    LossCurve,
    ReportData,
    SetSummary,
    StageTiming,
)
from synthassay.reports.html import write_report
from tests.reports.cards import make_card

TESTED, CONTROLS = ("edm", "gan", "vae"), ("oracle", "copycat", "blend", "noise")
SITES, DEVICES, LABELS = ("Northfield", "Weir Road", "Ashby"), ("Vendor A / M1", "Vendor B / X9"), ("clear", "lesion")
SPACES = ("pixel", "effnet", "pixel+effnet")
# value per set in the order of TESTED + CONTROLS, floor, higher is better
FIDELITY = {
    "kid": ((0.0123, 0.031, 0.062, 0.0041, 0.0012, 0.0022, 0.91), 0.0039, False),
    "frechet_distance": ((71.2, 118.0, 166.0, 41.0, 22.4, 36.5, 890.0), 40.2, False),
    "precision": ((0.74, 0.66, 0.88, 0.81, 0.97, 0.93, 0.0), 0.81, True),
    "recall": ((0.61, 0.38, 0.12, 0.79, 0.83, 0.44, 0.0), 0.79, True),
    "density": ((0.83, 0.71, 1.31, 0.96, 1.42, 1.22, 0.0), 0.97, True),
    "coverage": ((0.66, 0.48, 0.31, 0.77, 0.86, 0.61, 0.01), 0.76, True),
    "authenticity": ((0.64, 0.69, 0.58, 0.63, 0.02, 0.11, 1.0), 0.63, None),
}
COPIES = {"edm": 11.2, "gan": 8.9, "vae": 14.8, "oracle": 9.7, "copycat": 842.0, "blend": 310.0, "noise": 0.0}


def _fidelity_row(metric: str, i: int, reference: str, group: str, variant: str) -> MetricResult:
    values, floor, higher = FIDELITY[metric]
    name = (TESTED + CONTROLS)[i]
    value = values[i] * (0.8 if reference == "generator-train" else 1.0) * (1.0 if group == "all" else 1.08)
    spread = 0.07 * abs(value) + 0.004 * (0.1 if metric == "kid" else 1)
    bounded = metric in ("precision", "recall", "coverage", "authenticity")
    value = min(value, 1.0) if bounded else value
    patients = 160 if group != "site=Ashby" else 12
    return MetricResult(
        family="fidelity", metric=metric, generator=name, encoder="effnet", variant=variant, reference=reference,
        group=group, value=value, ci_low=max(0.0, value - spread) if metric != "kid" else value - spread,
        ci_high=min(1.0, value + spread) if bounded else value + spread, ci_method="patient bootstrap",
        unit="1" if bounded or metric == "density" else "squared feature distance", n_real=320, n_synthetic=400,
        n_patients=patients, floor=floor, floor_ci_low=floor * 0.9, floor_ci_high=floor * 1.1,
        identity=identity(metric=metric, k=5, encoder="effnet 12ab", reference="9f31c0", n_synthetic=400),
        higher_is_better=higher, status="ok" if patients >= 20 else "descriptive",
        note="rewards copying" if reference == "generator-train" else "",
    )  # fmt: skip


def fidelity_rows() -> Iterator[MetricResult]:
    groups = ("all", *(f"site={s}" for s in SITES), *(f"device={d}" for d in DEVICES), *(f"label={x}" for x in LABELS))
    for metric in FIDELITY:
        for i in range(len(TESTED + CONTROLS)):
            for variant in ("patient-aware", "classic"):
                for reference in ("test", "generator-train") if metric != "authenticity" else ("generator-train",):
                    for group in groups if reference == "test" else ("all",):
                        yield _fidelity_row(metric, i, reference, group, variant)
    yield replace(_fidelity_row("kid", 0, "test", "sex=O", "patient-aware"), value=None, ci_low=None, ci_high=None,
                  floor=None, floor_ci_low=None, floor_ci_high=None, status="absent",
                  note="7 images of 2 patients, 50 are needed", n_patients=2)  # fmt: skip
    closer = {"edm": (0.001, -0.001, 0.003), "gan": (0.0002, -0.002, 0.0024), "vae": (0.006, 0.002, 0.010),
              "copycat": (0.02, 0.017, 0.024), "oracle": (0.0, -0.002, 0.002)}  # fmt: skip
    for name, (value, low, high) in closer.items():
        yield MetricResult(
            family="fidelity", metric="closer_to_train", generator=name, encoder="effnet", variant="patient-aware",
            reference="generator-train", value=value, ci_low=low, ci_high=high, n_real=320, n_synthetic=400,
            n_patients=160, identity=identity(metric="closer"), higher_is_better=False,
        )  # fmt: skip


def memorisation_rows() -> Iterator[MetricResult]:
    for space in SPACES:
        for name, value in COPIES.items():
            base = MetricResult(
                family="memorisation", metric="copies_per_1000", generator=name, encoder=space,
                reference="generator-train", unit="per 1,000 images", value=value, ci_low=value * 0.55,
                ci_high=value * 1.3 + 3, floor=9.4, floor_ci_low=4.1, floor_ci_high=18.0, n_real=240, n_synthetic=400,
                n_patients=412, identity=identity(space=space), higher_is_better=False,
            )  # fmt: skip
            yield base
            yield replace(base, metric="excess_per_1000", value=value - 9.4, ci_low=value * 0.5 - 9,
                          ci_high=value * 1.3, floor=0.0, floor_ci_low=None, floor_ci_high=None)  # fmt: skip
            yield replace(base, metric="copied_share", value=max(0.0, (value - 9.4) / 950), ci_low=0.0,
                          ci_high=min(1.0, value / 700 + 0.01), unit="1", floor=0.0, floor_ci_low=None,
                          floor_ci_high=None)  # fmt: skip
            yield replace(base, metric="patients_affected", value=float(round(value * 0.2)), unit="training patients")
            yield replace(base, metric="false_alarm_rate", value=0.0094, ci_low=0.004, ci_high=0.018, unit="1",
                          floor=None, floor_ci_low=None, floor_ci_high=None, reference="control-b")  # fmt: skip
            for kind, recall in {"exact": 1.0, "mirrored": 0.98, "rotated": 0.95, "noise": 0.93}.items():
                yield replace(base, metric="copy_recall", group=f"kind={kind}", value=recall, ci_low=recall - 0.05,
                              ci_high=min(1.0, recall + 0.02), unit="1", higher_is_better=True, floor=None,
                              floor_ci_low=None, floor_ci_high=None, n_patients=200)  # fmt: skip
            if space == SPACES[-1]:
                yield _verdict(base)


def _verdict(base: MetricResult) -> MetricResult:
    name = base.generator
    plain = replace(base, metric="memorisation_verdict", ci_low=None, ci_high=None, floor=None, floor_ci_low=None,
                    floor_ci_high=None, unit="1")  # fmt: skip
    if name == "vae":
        note = "Insufficient evidence for saying that there is no copying: the recall of noise copies may be 0.88."
        return replace(plain, value=None, status="insufficient evidence", note=note)
    return replace(plain, value=1.0 if name in ("copycat", "blend") else 0.0)


def downstream_rows() -> Iterator[MetricResult]:
    arms = {("real", "real"): 0.912, ("real-long", "real"): 0.915, ("metadata", "real"): 0.61}
    for i, name in enumerate(TESTED):
        arms |= {("synthetic", name): 0.86 - 0.05 * i, ("both", name): 0.921 - 0.006 * i}
    places = [("test", g, 160) for g in ("all", "site=Northfield", "site=Weir Road", "device=Vendor A / M1",
                                         "device=Vendor B / X9")] + [("external", "all", 12)]  # fmt: skip
    for reference, group, patients in places:
        drop = 0.07 if reference == "external" else 0.0
        for (arm, name), value in arms.items():
            for metric, scale in (("auroc", 1.0), ("average_precision", 0.9), ("sensitivity_at_90_specificity", 0.8),
                                  ("ece", 0.08)):  # fmt: skip
                yield _downstream(metric, name, arm, reference, group, patients, (value - drop) * scale)
        for (arm, name), value in arms.items():
            against = {"synthetic": "real", "both": "real-long", "real-long": "real"}.get(arm)
            if against:
                gap = value - arms[(against, "real")] - (0.02 if drop and arm == "synthetic" else 0)
                yield _downstream("auroc_difference", name, f"{arm} - {against}", reference, group, patients, gap)


def _downstream(
    metric: str, name: str, variant: str, reference: str, group: str, patients: int, value: float
) -> MetricResult:
    half = 0.018 if patients > 20 else 0.05
    return MetricResult(
        family="downstream", metric=metric, generator=name, variant=variant, reference=reference, group=group,
        value=value, ci_low=value - half, ci_high=value + half, unit="1",
        n_real=2 * patients - (80 if group != "all" else 0), n_synthetic=0 if name == "real" else 400,
        n_patients=patients, identity=identity(metric=metric, steps=400, test="77aa", split=reference),
        higher_is_better=metric != "ece", status="ok" if patients >= 20 else "descriptive",
        note="" if patients >= 20 else f"{patients} patients only",
    )  # fmt: skip


def picture(kind: str, seed: int, m: int = 4, size: int = 32) -> np.ndarray:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    out = np.empty((m, 1, size, size), np.uint8)
    for i in range(m):
        if kind == "noise":
            out[i, 0] = np.clip(rng.normal(110, 45, (size, size)), 0, 255)
            continue
        body = np.exp(-(((x / 0.75) ** 2 + (y / 0.9) ** 2) ** 3)) * 120
        cx, cy = rng.uniform(-0.4, 0.4, 2)
        spot = 100 * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / 0.02) if kind == "lesion" else 0
        out[i, 0] = np.clip(body + spot + rng.normal(20, 9, (size, size)), 0, 255)
    return out


def cohort(site: str = SITES[0]) -> CohortSummary:
    counts = [CohortCount(column="split", value=v, patients=p, images=2 * p)
              for v, p in (("generator-train", 400), ("test", 160), ("external", 9))]  # fmt: skip
    counts += [CohortCount(column="site", value=v, patients=p, images=2 * p)
               for v, p in ((site, 380), (SITES[1], 180), (SITES[2], 9))]  # fmt: skip
    counts += [CohortCount(column="device", value=v, patients=280, images=560) for v in DEVICES]
    counts += [
        CohortCount(column="label", value=v, patients=p, images=p) for v, p in zip(LABELS, (500, 210), strict=True)
    ]
    counts += [CohortCount(column="age_band", value=v, patients=p, images=2 * p)
               for v, p in (("under 40", 120), ("40 to 59", 230), ("60 and over", 210), ("", 9))]  # fmt: skip
    return CohortSummary(
        name="phantom", label="lesion", positive="lesion", patients=569, images=1138, shape=(1, 32, 32), bits=8,
        counts=counts, external=(SITES[2],),
        policy={"mode": "percentiles", "window": None, "low": 0.0, "high": 1320.5, "percentiles": [0.5, 99.5],
                "taken_from": "generator-train", "bits": 8},
        notes=("All patients are simulated; nothing here says anything about real disease.",),
    )  # fmt: skip


def build(site: str = SITES[0], real_seed: int = 1) -> ReportData:
    sets = [SetSummary(name=n, origin="generator", images=400, units=400, settings_digest=f"{n}-1") for n in TESTED]
    sets += [SetSummary(name=n, origin="control", images=400, units=200) for n in CONTROLS]
    grids = [
        GridCell(
            set_name=name, label=label, site=place, images=picture("noise" if name == "noise" else label, real_seed + s)
        )
        for s, name in enumerate(("real (test)", *TESTED, *CONTROLS))
        for label in LABELS
        for place in (site, SITES[1])
        if not (name == "vae" and label == "lesion" and place == SITES[1])
    ]
    twins = [picture("lesion", 70 + i, 1)[0] for i in range(6)]
    pairs = [CopiedPair(generator=g, synthetic=t, train=t[..., ::-1].copy() if i % 2 else t, score=0.31 + 0.07 * i,
                        space="pixel", mirrored=bool(i % 2))
             for g in ("edm", "copycat") for i, t in enumerate(twins)]  # fmt: skip
    steps = np.arange(10.0, 2010.0, 10.0)
    losses = [
        LossCurve(generator="edm", columns={"step": steps, "loss": 0.4 * np.exp(-steps / 500) + 0.12}),
        LossCurve(generator="gan", columns={"step": steps, "generator": 1.2 + 0.1 * np.sin(steps / 90),
                                            "discriminator": 0.7 + 0.1 * np.cos(steps / 70)}),
    ]  # fmt: skip
    return ReportData(
        title="phantom: edm, gan, vae", run_id="3fa1c09b77d2", seed=0, cohort=cohort(site), sets=sets,
        results=[*fidelity_rows(), *memorisation_rows(), *downstream_rows()], grids=grids, pairs=pairs, losses=losses,
        card=make_card((site, *SITES[1:])), quarantine={"not DICOM": 3, "pixel data truncated": 1},
        settings={"seed": 0, "fidelity": {"k": 5}},
        timings=[StageTiming(stage="prepare", seconds=12.4, peak_memory_mb=420.0, found_done=True),
                 StageTiming(stage="train", seconds=183.2, peak_memory_mb=1890.0)],
        provenance={"python": "3.11.9", "hardware": {"cpu": "2 cores", "gpu": None}},
    )  # fmt: skip


@pytest.fixture(scope="session")
def make_report() -> Callable[..., ReportData]:
    return build


@pytest.fixture(scope="session")
def made_up() -> ReportData:
    return build()


EVIL = "<script>alert(1)</script>"


@pytest.fixture(scope="session")
def hostile() -> ReportData:
    """A run whose every free text, as scan headers may hold it, tries to become markup."""
    data = build(site=EVIL)
    rows = [
        replace(
            row,
            note=f"{row.note} {EVIL}",
            group=row.group.replace(SITES[0], EVIL).replace("label=lesion", f"label={EVIL}"),
        )
        for row in data.results
    ]
    return replace(
        data, results=rows, title=f"phantom {EVIL}", notes=(EVIL,), quarantine={f"bad header {EVIL}": 2},
        cohort=replace(data.cohort, name=EVIL, label=EVIL, positive=EVIL, external=(EVIL,), notes=(EVIL,),
                       tables=(CohortTable(title=EVIL, columns=(EVIL,), rows=((EVIL,),), note=EVIL),)),
        grids=[replace(cell, label=EVIL) if cell.label == LABELS[1] else cell for cell in data.grids],
        settings={EVIL: {"$\\frac{": EVIL}}, provenance={EVIL: EVIL},
        timings=[StageTiming(stage=EVIL, seconds=1.0)],
        losses=[LossCurve(generator=EVIL, columns={"step": np.arange(3.0), f"$\\bad{{{EVIL}": np.ones(3)})],
    )  # fmt: skip


@pytest.fixture(scope="session")
def hostile_page(hostile: ReportData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(hostile, tmp_path_factory.mktemp("hostile"))


@pytest.fixture(scope="session")
def released_page(made_up: ReportData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(replace(made_up, audience="release"), tmp_path_factory.mktemp("release"))
