"""How metrics, sets and groups are called on the page, and how untrusted text is made safe to lay out."""

import unicodedata

from synthassay.records import MetricResult

METRIC_NAMES = {
    "fid": "FID",
    "frechet_distance": "Fréchet distance",
    "kid": "KID",
    "kid_subsets": "KID (100 × 1,000 subsets)",
    "precision": "Precision",
    "recall": "Recall",
    "density": "Density",
    "coverage": "Coverage",
    "authenticity": "Authenticity",
    "closer_to_train": "Closer to train",
    "precision_k3": "Improved precision (k=3)",
    "recall_k3": "Improved recall (k=3)",
    "clipped_density": "Clipped density",
    "clipped_coverage": "Clipped coverage",
    "cmmd": "CMMD",
    "mmd_rbf": "RBF MMD (as CMMD)",
    "frechet_infinity": "Fréchet distance at infinity",
    "frd": "Fréchet radiomics distance",
    "vendi": "Vendi score",
    "ms_ssim": "MS-SSIM of pairs",
    "mifid": "MiFID",
    "c_t": "C_T",
    "tail_copies": "Near copies (tail count)",
    "copies_per_1000": "Flagged per 1,000",
    "patients_affected": "Patients affected",
    "false_alarm_rate": "False alarms",
    "excess_per_1000": "Excess per 1,000",
    "copied_share": "Copied share",
    "copy_recall": "Recall of planted copies",
    "memorisation_verdict": "Verdict",
    "dp_epsilon": "Privacy budget ε",
    "dp_delta": "Privacy failure δ",
    "auroc": "AUROC",
    "average_precision": "Average precision",
    "sensitivity_at_90_specificity": "Sensitivity at 90% specificity",
    "specificity_at_threshold": "Specificity at threshold",
    "ece": "ECE",
}
FAMILY_NAMES = {
    "fidelity": "Fidelity",
    "memorisation": "Memorisation",
    "privacy": "Private training",
    "downstream": "Downstream use",
}
ARM_NAMES = {
    "real": "real",
    "real-long": "real, longer",
    "synthetic": "synthetic",
    "both": "real + synthetic",
    "metadata": "metadata only",
}
SHOWN_LENGTH = 40


def clean(text: object) -> str:
    """``text`` on one line without control or direction-changing characters. Escaping is left to the writer."""
    kept = [" " if unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp") else c for c in str(text)]
    return " ".join("".join(kept).split())


def short(text: object, length: int = SHOWN_LENGTH) -> str:
    """:func:`clean`, cut to ``length`` characters with an ellipsis."""
    line = clean(text)
    return line if len(line) <= length else line[: length - 1].rstrip() + "…"


def metric_name(metric: str) -> str:
    """The metric's name for a reader."""
    if metric.endswith("_difference"):
        return f"{metric_name(metric.removesuffix('_difference'))} difference"
    return METRIC_NAMES.get(metric) or clean(metric.replace("_", " ")).capitalize()


def arm_name(arm: str) -> str:
    """The training arm's name for a reader."""
    return ARM_NAMES.get(arm) or clean(arm)


def group_name(group: str) -> str:
    """``"site=A"`` → ``"site A"``, ``"all"`` → ``"all test patients"``."""
    if group == "all":
        return "all"
    column, _, value = group.partition("=")
    return clean(f"{column.replace('_', ' ')} {value}")


def why(result: MetricResult) -> str:
    """Why ``result`` is not a full answer; empty when it is."""
    if result.note:
        return clean(result.note).rstrip(".")
    if result.status == "absent":
        return "not computed"
    if result.status == "descriptive":
        return f"{result.n_patients} patients only"
    return ""
