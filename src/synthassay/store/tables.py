"""Image sets, cohorts, features, predictions and results as folders of plain files: ``.npy``, Parquet and JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from synthassay.card import CardRow, DataCard, Histogram
from synthassay.records import (
    Cohort,
    CohortTable,
    FeatureSet,
    ImageSet,
    MetricResult,
    Predictions,
    Quarantined,
    ScanRecord,
)
from synthassay.store.files import write_json
from synthassay.whole_files import replacing


def _text(column: "pd.Series[Any]") -> NDArray[np.str_]:
    return column.fillna("").to_numpy(dtype=np.str_)


def _write_table(path: Path, columns: dict[str, Any]) -> None:
    frame = pd.DataFrame({k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in columns.items()})
    with replacing(path, durable=True) as temporary:
        frame.to_parquet(temporary, index=False)


def write_array(path: Path, array: NDArray[Any]) -> None:
    """One ``.npy`` file, whole or absent."""
    with replacing(path, durable=True) as temporary, temporary.open("wb") as stream:
        np.save(stream, array, allow_pickle=False)


def save_arrays(arrays: Mapping[str, NDArray[Any]], folder: Path) -> None:
    """Each array in a ``.npy`` file of its name."""
    for name, array in arrays.items():
        write_array(folder / f"{name}.npy", array)


def load_arrays(folder: Path) -> dict[str, NDArray[Any]]:
    """Read what :func:`save_arrays` wrote."""
    return {path.stem: np.load(path, allow_pickle=False) for path in sorted(folder.glob("*.npy"))}


def _common_columns(owner: ImageSet | FeatureSet) -> dict[str, Any]:
    return {"id": owner.ids, "patient": owner.patients, "label": owner.labels} | {
        f"group:{name}": values for name, values in owner.groups.items()
    }


def _groups(frame: pd.DataFrame) -> dict[str, NDArray[np.str_]]:
    return {name.removeprefix("group:"): _text(frame[name]) for name in _prefixed(frame, "group:")}


def _prefixed(frame: pd.DataFrame, prefix: str) -> list[str]:
    return [str(name) for name in frame.columns if str(name).startswith(prefix)]


def save_images(images: ImageSet, folder: Path) -> None:
    """Write ``pixels.npy``, ``table.parquet`` and ``set.json``; with masks also ``masks.npy``."""
    write_array(folder / "pixels.npy", np.ascontiguousarray(images.pixels))
    if images.masks is not None:
        write_array(folder / "masks.npy", np.ascontiguousarray(images.masks))
    columns = _common_columns(images) | {f"covariate:{k}": v for k, v in images.covariates.items()}
    if images.seeds is not None:
        columns["seed"] = images.seeds
    _write_table(folder / "table.parquet", columns)
    facts = {"name": images.name, "origin": images.origin, "label_names": list(images.label_names)}
    extra = {"split": images.split, "generator_key": images.generator_key, "content_id": images.content_id}
    named = {"mask_names": list(images.mask_names)} if images.masks is not None else {}
    write_json(folder / "set.json", facts | extra | named)


def load_images(folder: Path) -> ImageSet:
    """Read what :func:`save_images` wrote; pixels and masks are memory-mapped."""
    facts = json.loads((folder / "set.json").read_text())
    mask_names = tuple(facts.pop("mask_names", ()))
    frame = pd.read_parquet(folder / "table.parquet")
    covariates = {
        name.removeprefix("covariate:"): frame[name].to_numpy(dtype=np.float32)
        for name in _prefixed(frame, "covariate:")
    }
    return ImageSet(
        pixels=np.load(folder / "pixels.npy", mmap_mode="r", allow_pickle=False),
        masks=np.load(folder / "masks.npy", mmap_mode="r", allow_pickle=False) if mask_names else None,
        mask_names=mask_names,
        ids=_text(frame["id"]),
        patients=_text(frame["patient"]),
        labels=frame["label"].to_numpy(dtype=np.int64),
        groups=_groups(frame),
        covariates=covariates,
        seeds=frame["seed"].to_numpy(dtype=np.int64) if "seed" in frame else None,
        **facts | {"label_names": tuple(facts["label_names"])},
    )


def save_cohort(cohort: Cohort, folder: Path) -> None:
    """Write the images, ``records.parquet``, ``splits.parquet``, ``quarantine.parquet`` and ``cohort.json``."""
    save_images(cohort.images, folder)
    _write_table(folder / "splits.parquet", {"split": cohort.splits})
    records = [asdict(record) for record in cohort.records]
    _write_table(folder / "records.parquet", {f.name: [row[f.name] for row in records] for f in fields(ScanRecord)})
    quarantined = [asdict(row) for row in cohort.quarantined]
    columns = {f.name: [row[f.name] for row in quarantined] for f in fields(Quarantined)}
    _write_table(folder / "quarantine.parquet", columns)
    facts = {"name": cohort.name, "label": cohort.label, "positive": cohort.positive, "policy": dict(cohort.policy)}
    facts |= {"notes": list(cohort.notes), "tables": [asdict(table) for table in cohort.tables]}
    write_json(folder / "cohort.json", facts | {"content_id": cohort.content_id})


def load_cohort(folder: Path) -> Cohort:
    """Read what :func:`save_cohort` wrote."""
    facts = json.loads((folder / "cohort.json").read_text())
    rows = pd.read_parquet(folder / "records.parquet").to_dict("records")
    quarantined = pd.read_parquet(folder / "quarantine.parquet").to_dict("records")
    return Cohort(
        name=facts["name"],
        images=load_images(folder),
        label=facts["label"],
        positive=facts["positive"],
        policy=facts["policy"],
        notes=tuple(facts["notes"]),
        tables=tuple(_cohort_table(table) for table in facts["tables"]),
        splits=_text(pd.read_parquet(folder / "splits.parquet")["split"]),
        records=tuple(ScanRecord(**{str(k): _scalar(v) for k, v in row.items()}) for row in rows),
        quarantined=tuple(Quarantined(**{str(k): str(v) for k, v in row.items()}) for row in quarantined),
    )


def _cohort_table(facts: dict[str, Any]) -> CohortTable:
    """What JSON made lists of is tuples again."""
    rows = tuple(tuple(row) for row in facts["rows"])
    patients = None if facts["patients"] is None else tuple(facts["patients"])
    return CohortTable(**facts | {"columns": tuple(facts["columns"]), "rows": rows, "patients": patients})


def _scalar(value: Any) -> Any:
    """Parquet's missing values and arrays back to what a :class:`ScanRecord` holds."""
    if isinstance(value, np.ndarray):
        return tuple(float(v) for v in value)
    if value is None or (isinstance(value, float) and np.isnan(value)) or value is pd.NA:
        return None
    return value


def save_features(features: FeatureSet, folder: Path) -> None:
    """Write ``features.npy``, ``table.parquet`` and ``set.json``."""
    write_array(folder / "features.npy", features.features)
    _write_table(folder / "table.parquet", _common_columns(features))
    facts = {
        "name": features.name,
        "origin": features.origin,
        "label_names": list(features.label_names),
        "encoder": features.encoder,
        "encoder_identity": [list(p) for p in features.encoder_identity],
        "split": features.split,
        "content_id": features.content_id,
    }
    write_json(folder / "set.json", facts)


def load_features(folder: Path) -> FeatureSet:
    """Read what :func:`save_features` wrote."""
    facts = json.loads((folder / "set.json").read_text())
    frame = pd.read_parquet(folder / "table.parquet")
    facts["label_names"] = tuple(facts["label_names"])
    facts["encoder_identity"] = tuple((name, value) for name, value in facts["encoder_identity"])
    return FeatureSet(
        features=np.load(folder / "features.npy", allow_pickle=False),
        ids=_text(frame["id"]),
        patients=_text(frame["patient"]),
        labels=frame["label"].to_numpy(dtype=np.int64),
        groups=_groups(frame),
        **facts,
    )


def save_predictions(predictions: Sequence[Predictions], folder: Path) -> None:
    """Write each element as ``predictions-<i>.parquet`` and ``predictions-<i>.json``."""
    for i, item in enumerate(predictions):
        columns = {"id": item.ids, "patient": item.patients, "label": item.labels, "score": item.scores}
        groups = {f"group:{name}": values for name, values in item.groups.items()}
        _write_table(folder / f"predictions-{i:03d}.parquet", columns | groups)
        facts = {"arm": item.arm, "generator": item.generator, "seed": item.seed, "split": item.split}
        threshold = None if np.isnan(item.threshold) else float(item.threshold)
        write_json(folder / f"predictions-{i:03d}.json", facts | {"threshold": threshold})


def load_predictions(folder: Path) -> list[Predictions]:
    """Read what :func:`save_predictions` wrote, in order."""
    loaded = []
    for path in sorted(folder.glob("predictions-*.json")):
        facts = json.loads(path.read_text())
        facts["threshold"] = float("nan") if facts["threshold"] is None else facts["threshold"]
        frame = pd.read_parquet(path.with_suffix(".parquet"))
        loaded.append(
            Predictions(
                ids=_text(frame["id"]),
                patients=_text(frame["patient"]),
                labels=frame["label"].to_numpy(np.int64),
                scores=frame["score"].to_numpy(np.float32),
                groups=_groups(frame),
                **facts,
            )
        )
    return loaded


def save_card(card: DataCard, path: Path) -> None:
    """Write a data card as JSON."""
    histograms = [asdict(item) | {"shares": item.shares.tolist()} for item in card.histograms]
    rows = [asdict(row) for row in card.rows]
    write_json(path, {"rows": rows, "histograms": histograms, "notes": list(card.notes)})


def load_card(path: Path) -> DataCard:
    """Read what :func:`save_card` wrote."""
    facts = json.loads(path.read_text())
    histograms = [Histogram(**item | {"shares": np.asarray(item["shares"])}) for item in facts["histograms"]]
    return DataCard(rows=[CardRow(**row) for row in facts["rows"]], histograms=histograms, notes=facts["notes"])


def save_results(results: Sequence[MetricResult], path: Path) -> None:
    """Write results as JSON, identity as pairs."""
    write_json(path, [asdict(row) for row in results])


def load_results(path: Path) -> list[MetricResult]:
    """Read what :func:`save_results` wrote."""
    rows = json.loads(path.read_text())
    return [MetricResult(**row | {"identity": tuple((a, b) for a, b in row["identity"])}) for row in rows]
