"""Every fidelity metric by name: what it is, which way is better, and against whom it is asked.

The *core* is computed for every group in one visit of the features. The *set-level* metrics are computed once, over all
images (Vendi within each label too).
"""

from dataclasses import dataclass
from typing import Literal

from synthassay.metrics import c_t, clipped, cmmd, frd, frechet_infinity, kid_subsets, mifid, tail_copies, vendi
from synthassay.metrics.estimates import IMPROVED
from synthassay.metrics.groups import Group
from synthassay.metrics.neighbours import VARIANTS, Variant
from synthassay.metrics.specs import LABEL_COLUMN, FidelitySpec

TEST, TRAIN = "test", "generator-train"
FRECHET = "frechet_distance"
RADIOMICS = "radiomics"  # how the names of encoders of radiomic features begin
SQUARED = "squared feature distance"
Scope = Literal["groups", "labels", "all"]


@dataclass(frozen=True, slots=True)
class Metric:
    """``definition`` may name ``{k}`` and ``{size}``; ``references``: against whom; ``scope``: for which groups."""

    definition: str
    higher_is_better: bool | None
    references: tuple[str, ...] = (TEST, TRAIN)
    scope: Scope = "groups"
    variants: tuple[Variant, ...] = VARIANTS[:1]
    unit: str = "1"


_SUBSETS = "(x·y/d+1)^3, unbiased, mean of 100 subsets of {size}"
_BY_K = "k={k}, strict <"
_K3 = IMPROVED.text
METRICS: dict[str, Metric] = {
    FRECHET: Metric("Gaussian, covariance with n-1", False, unit=SQUARED),
    "fid": Metric("Gaussian, covariance with n-1", False, unit=SQUARED),
    "kid": Metric("(x·y/d+1)^3, unbiased, all pairs", False, variants=VARIANTS),
    "precision": Metric(_BY_K, True, variants=VARIANTS),
    "recall": Metric(_BY_K, True, variants=VARIANTS),
    "density": Metric(_BY_K, True, variants=VARIANTS),
    "coverage": Metric(_BY_K, True, variants=VARIANTS),
    "precision_k3": Metric(_K3, True, variants=VARIANTS),
    "recall_k3": Metric(_K3, True, variants=VARIANTS),
    "authenticity": Metric("d(r,NN_train\\r) < d(g,r)", None, (TRAIN,), variants=VARIANTS),
    "clipped_density": Metric(clipped.definition("clipped_density", 5).replace("k=5", "k={k}"),
                              clipped.HIGHER_IS_BETTER, (TEST,), "all", VARIANTS),
    "clipped_coverage": Metric(clipped.definition("clipped_coverage", 5).replace("k=5", "k={k}"),
                               clipped.HIGHER_IS_BETTER, (TEST,), "all", VARIANTS),
    "kid_subsets": Metric(_SUBSETS, kid_subsets.HIGHER_IS_BETTER, (TEST,), "all"),
    "cmmd": Metric(cmmd.DEFINITION, cmmd.HIGHER_IS_BETTER, (TEST,), "all"),
    "mmd_rbf": Metric(cmmd.DEFINITION, cmmd.HIGHER_IS_BETTER, (TEST,), "all"),
    "frechet_infinity": Metric(frechet_infinity.DEFINITION, False, (TEST,), "all", unit=SQUARED),
    "frd": Metric(frd.DEFINITION, frd.HIGHER_IS_BETTER, (TEST,), "all", unit=frd.UNIT),
    "vendi": Metric(vendi.DEFINITION, vendi.HIGHER_IS_BETTER, (TEST,), "labels", unit="effective images"),
    "mifid": Metric(mifid.DEFINITION, mifid.HIGHER_IS_BETTER, (TRAIN,), "all", unit=SQUARED),
    "c_t": Metric(c_t.DEFINITION, c_t.HIGHER_IS_BETTER, (TRAIN,), "all", unit="standard deviations"),
    "tail_copies": Metric(tail_copies.DEFINITION, tail_copies.HIGHER_IS_BETTER, (TRAIN,), "all"),
}  # fmt: skip


ALSO_TEST = ("c_t",)  # asked against train, of which the answer depends on the test patients too


def frechet_name(encoder: str) -> str:
    """The Fréchet distance is called FID only on features of FID-Inception."""
    return "fid" if encoder.startswith("fid-inception") else FRECHET


def asked(encoder: str, reference: str, group: Group, spec: FidelitySpec) -> list[tuple[str, Variant]]:
    """(metric, variant) of every value of ``group`` against ``reference``, core first."""
    other = {FRECHET, "fid"} - {frechet_name(encoder)} | {"cmmd", "mmd_rbf"} - {cmmd.cmmd_name(encoder)}
    if not encoder.startswith(RADIOMICS):
        other.add("frd")
    scopes = {"": ("groups", "labels", "all"), LABEL_COLUMN: ("groups", "labels")}.get(group.column, ("groups",))
    chosen = {
        name: metric
        for name, metric in METRICS.items()
        if name not in other and reference in metric.references and metric.scope in scopes
        and (metric.scope == "groups" or name in spec.set_level)
    }  # fmt: skip
    return [(name, variant) for variant in VARIANTS for name, metric in chosen.items() if variant in metric.variants]


def definition(metric: str, k: int, n_real: int, n_synthetic: int) -> str:
    """What must be equal for two values to be comparable."""
    size = kid_subsets.subset_size(n_real, n_synthetic)
    return METRICS[metric].definition.format(k=k, size=size)
