"""``radiomics-pyradiomics`` equals what frd-score extracts with the same settings; co-occurrence equals counting."""

import math

import numpy as np
import pytest
from PIL import Image

from synthassay.features import radiomics_skimage


def picture(side=24, seed=0):
    return np.random.default_rng(seed).gamma(3.0, 30.0, (side, side)).clip(0, 255).astype(np.uint8)


def test_features_of_pyradiomics(tmp_path):
    pytest.importorskip("radiomics", reason="needs the extra pyradiomics")
    from frd_score import frd as reference

    from synthassay.features import radiomics_pyradiomics

    found = dict(
        zip(radiomics_pyradiomics.feature_names(), radiomics_pyradiomics.features(picture(), 256), strict=True)
    )
    # The whole image as region, inside a frame: pyradiomics' command line refuses a mask of ones only.
    Image.fromarray(np.pad(picture(), 1)).save(tmp_path / "image.png")
    Image.fromarray(np.pad(np.full((24, 24), 255, np.uint8), 1)).save(tmp_path / "mask.png")
    extractor = reference.get_feature_extractor_v0(
        list(radiomics_pyradiomics.CLASSES), {"binWidth": 1, "force2D": True, "force2Ddimension": 0}
    )
    _, expected, _ = reference.process_image_mask_pair(
        (tmp_path / "image.png", tmp_path / "mask.png"), feature_extractor=extractor
    )
    expected = {name: value for name, value in expected.items() if not name.startswith("diagnostics")}
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-9, abs=1e-12), name


def test_co_occurrence_by_counting_pairs():
    image, levels = picture(), 32
    binned = image // 8
    found = dict(zip(radiomics_skimage.feature_names(), radiomics_skimage.features(image, levels), strict=True))
    for distance in radiomics_skimage.DISTANCES:
        diagonal = round(distance * math.sqrt(0.5))
        contrast, asm = [], []
        for down, right in ((0, distance), (diagonal, diagonal), (distance, 0), (diagonal, -diagonal)):
            pairs = [
                (int(binned[y, x]), int(binned[y + down, x + right]))
                for y in range(24 - down)
                for x in range(24)
                if 0 <= x + right < 24
            ]
            shares = np.zeros((levels, levels))
            for i, j in pairs:
                shares[i, j] += 0.5 / len(pairs)
                shares[j, i] += 0.5 / len(pairs)
            contrast.append(np.mean([(i - j) ** 2 for i, j in pairs]))
            asm.append(np.sum(shares**2))
        assert found[f"glcm_contrast_{distance}"] == pytest.approx(np.mean(contrast))
        assert found[f"glcm_ASM_{distance}"] == pytest.approx(np.mean(asm))
