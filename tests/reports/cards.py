"""A made-up data card: three sites, one of them too small for a number, and two devices."""

import numpy as np

from synthassay.card import LEVELS, QUANTILES, CardRow, DataCard, Histogram

SIZES = {"Northfield": 380, "Weir Road": 180, "Ashby": 9}


def share(topic: str, quantity: str, group: str, patients: int, cell: int) -> CardRow:
    value = cell / patients
    ends = {"ci_low": max(0.0, value - 0.03), "ci_high": min(1.0, value + 0.03)} if topic != "missing" else {}
    statistic = "share of images" if topic == "missing" else "share of patients"
    return CardRow(topic=topic, quantity=quantity, statistic=statistic, group=group, value=value, n_images=2 * patients,
                   n_patients=patients, cell=cell, **ends)  # fmt: skip


def number(topic: str, quantity: str, statistic: str, group: str, value: float, half: float = 0.0, **more) -> CardRow:
    ends = {"ci_low": value - half, "ci_high": value + half} if half else {}
    settings = {"n_images": 300, "n_patients": 150} | ends | more
    return CardRow(topic=topic, quantity=quantity, statistic=statistic, group=group, value=value, **settings)


def make_card(names: tuple[str, str, str] = ("Northfield", "Weir Road", "Ashby")) -> DataCard:
    places = {f"site={name}": size for name, size in zip(names, SIZES.values(), strict=True)}
    places |= {"device=Vendor A / M1": 280, "device=Vendor B / X9": 289}
    rows, first, second = [], f"site={names[0]}", f"site={names[1]}"
    for i, (group, size) in enumerate([("all", 569), *places.items()]):
        few = {"value": None, "status": "absent", "note": f"{size} patients, fewer than 10", "n_patients": size}
        for name, part in (("clear", 0.7 - 0.1 * i), ("lesion", 0.3 + 0.1 * i)):
            row = share("prevalence", name, group, size, round(part * size))
            rows.append(row if size > 9 else CardRow(topic="prevalence", quantity=name, group=group,
                                                     statistic="share of patients", **few))  # fmt: skip
        for field, missing in (("site", 0), ("age", 12 if group in ("all", second) else 0), ("view", size)):
            rows.append(share("missing", field, group, size, missing))
        if size > 9:
            rows.append(number("people", "age", "mean", group, 50.0 + 4 * i, 1.0))
            rows += [number("people", "age", name, group, 30 + 40 * level) for name, level in QUANTILES.items()]
            rows.append(share("people", "sex F", group, size, size // 2))
            rows.append(number("spacing", "pixel spacing", "median", group, 0.5 + 0.1 * i, unit="mm"))
            rows.append(number("intensity", "contrast", "mean", group, 0.2, 0.01))
    for name, smd in (("contrast", 0.4), ("age", -1.2)):
        for statistic, more in (("smd", {}), ("ks", {"floor": 0.12}), ("wasserstein", {}), ("psi", {"floor": 0.1})):
            half = 0.2 if statistic == "smd" else 0.0
            rows.append(number("drift", name, statistic, first, smd, half, against="others", **more))
    chance = {"floor": 0.5, "floor_ci_low": 0.43, "floor_ci_high": 0.57}
    rows.append(number("shortcut", "site", "auroc", first, 0.93, 0.02, against=second, **chance))
    rows.append(number("shortcut", "device", "auroc", "device=Vendor A / M1", 0.55, 0.06,
                       against="device=Vendor B / X9", **chance))  # fmt: skip
    shares = np.arange(1.0, LEVELS + 1) / np.arange(1.0, LEVELS + 1).sum()
    histograms = [Histogram(group=group, shares=shares, n_images=2 * size, n_patients=size)
                  for group, size in places.items() if size > 9]  # fmt: skip
    return DataCard(rows=rows, histograms=histograms, notes=("Pixels were looked at in 1,000 of 1,138 images.",))
