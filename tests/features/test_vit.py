"""Vision transformers at a small size: the loading, preparation and encoding are those of the published ones."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import save_file

from synthassay.errors import UserError
from synthassay.features import vit
from synthassay.features.specs import ClipSpec, Dinov2Spec, RadDinoSpec
from synthassay.features.vit import CLIP, META, TRANSFORMERS, VitShape, load_vit, resampled, vision_transformer
from synthassay.features.weights import sha256_of
from synthassay.records import SilentProgress
from tests.features.sets import CPU, images

TINY = VitShape(width=24, depth=2, heads=2)
TINY_CLIP = VitShape(width=24, depth=2, heads=2, projection=8)


def published(shape, naming, grid=4, seed=0):
    """A state dict as it is published: random, with the names of ``naming``."""
    draw = partial(torch.randn, generator=torch.Generator().manual_seed(seed))
    d = shape.width
    state = {naming.positions: draw(1, grid * grid + 1, d), f"{naming.patches}.weight": draw(d, 3, 14, 14) * 0.05}
    state[naming.class_token] = draw(d) if shape.projection else draw(1, 1, d)
    if shape.projection:
        state[naming.positions] = state[naming.positions][0]
        state[f"{naming.projection}.weight"] = draw(shape.projection, d)
    else:
        state[f"{naming.patches}.bias"] = draw(d)
    linear = {naming.output: (d, d), naming.mlp[0]: (4 * d, d), naming.mlp[1]: (d, 4 * d)}
    rows = 3 * d if len(naming.attention) == 1 else d
    linear |= dict.fromkeys(naming.attention, (rows, d))
    norms = [naming.norm, *([naming.first_norm] if shape.projection else [])]
    for i in range(shape.depth):
        prefix = naming.block.format(i)
        norms += [prefix + name for name in naming.norms]
        for name, size in linear.items():
            state |= {f"{prefix}{name}.weight": draw(*size) * 0.1, f"{prefix}{name}.bias": draw(size[0]) * 0.1}
        state |= {prefix + name: draw(d) for name in naming.scales or ()}
    for name in norms:
        state |= {f"{name}.weight": 1 + 0.1 * draw(d), f"{name}.bias": 0.1 * draw(d)}
    return state


CASES = {
    "dinov2": (lambda r: vit.dinov2("dinov2-vitb14", r), TINY, META),
    "rad-dino": (vit.rad_dino, TINY, TRANSFORMERS),
    "clip": (lambda r: replace(vit.clip(), preparation=replace(vit.clip().preparation, resolution=r)), TINY_CLIP, CLIP),
}


def tiny_encoder(case, tmp_path, resolution=56, state=None):
    make, shape, naming = CASES[case]
    path = tmp_path / f"{case}.bin"
    if case == "rad-dino":
        save_file(state or published(shape, naming), path)
    else:
        torch.save(state or published(shape, naming), path)
    load = partial(load_vit, shape=shape, naming=naming, resolution=resolution)
    published_one = replace(make(resolution), load=load, dimension=shape.projection or shape.width)
    return published_one.encoder(str(path), sha256_of(path), CPU)


@pytest.mark.parametrize("case", CASES)
def test_features_depend_on_one_image_only_and_grey_is_rgb(case, tmp_path):
    encoder = tiny_encoder(case, tmp_path)
    subject = images()
    features = encoder.encode(subject, SilentProgress()).features
    assert features.shape == (5, encoder.dimension)
    assert np.isfinite(features).all()
    assert features.std() > 0.01
    alone = encoder.encode(subject.take(np.array([4, 0, 2])), SilentProgress()).features
    np.testing.assert_allclose(alone, features[[4, 0, 2]], atol=1e-5 * features.std())
    colour = replace(subject, pixels=np.repeat(subject.pixels, 3, axis=1), content_id="")
    np.testing.assert_allclose(encoder.encode(colour, SilentProgress()).features, features, atol=1e-5 * features.std())


@pytest.mark.parametrize("case", CASES)
def test_the_identity_holds_digest_resize_and_normalisation(case, tmp_path):
    encoder = tiny_encoder(case, tmp_path)
    parts = dict(encoder.identity)
    assert parts["weights"] == sha256_of(tmp_path / f"{case}.bin")
    assert (parts["resize"], parts["resolution"], parts["dtype"]) == ("pil-bicubic", "56", "float32")
    assert parts.keys() == {"encoder", "weights", "layer", "channels", "resize", "resolution", "normalisation", "dtype"}
    assert dict(tiny_encoder(case, tmp_path, 84).identity)["resolution"] == "84"


def test_every_tensor_of_a_file_changes_the_features(tmp_path):
    for case, (_, shape, naming) in CASES.items():
        state = published(shape, naming)
        path = tmp_path / "w.pth"
        pixels = torch.rand(2, 3, 56, 56, generator=torch.Generator().manual_seed(1))

        def features(changed, path=path, shape=shape, naming=naming, pixels=pixels):
            torch.save(changed, path)
            with torch.inference_mode():
                return load_vit(path, shape, naming, 56).eval()(pixels)

        before = features(state)
        for name, tensor in state.items():
            moved = tensor + torch.linspace(0, 1, tensor.numel()).view(tensor.shape)
            if name.endswith(("key.bias", "k_proj.bias")) or name.startswith(naming.block.format(0)):
                continue  # a key's bias adds the same to all scores of a query; block 1 stands for block 0
            assert not torch.equal(features(state | {name: moved}), before), (case, name)


def test_a_missing_tensor_and_a_wrong_shape_are_named(tmp_path):
    state = published(TINY, META)
    without = {name: value for name, value in state.items() if name != "blocks.1.attn.proj.weight"}
    with pytest.raises(UserError, match=r"lacks 'blocks\.1\.attn\.proj\.weight'"):
        tiny_encoder("dinov2", tmp_path, state=without).encode(images(2), SilentProgress())
    for size in ({"width": 48}, {"depth": 3}):
        other = tiny_encoder("dinov2", tmp_path, state=published(replace(TINY, **size), META))
        with pytest.raises(UserError, match=f"{size.get('width', 24)} wide, and this network is 24 wide and 2 blocks"):
            other.encode(images(2), SilentProgress())
    wider = state | {"blocks.0.mlp.fc1.bias": torch.zeros(7)}
    with pytest.raises(UserError, match=r"mlp\.0\.bias: found shape \[7\], expected shape \[96\]"):
        tiny_encoder("dinov2", tmp_path, state=wider).encode(images(2), SilentProgress())


@pytest.mark.parametrize(("side", "grid"), [(37, 16), (37, 20), (6, 8)])
def test_positions_are_resampled_by_dinov2s_rule(side, grid):
    """Cubic convolution (a = -0.75) at (i + 1/2) g / (grid + 0.1) - 1/2, edges repeated: computed here in float64."""
    positions = torch.randn(1, 1 + side * side, 3, generator=torch.Generator().manual_seed(0))
    table = positions[0, 1:].double().numpy().reshape(side, side, 3)
    weights = np.zeros((grid, side))
    for i in range(grid):
        place = (i + 0.5) * side / (grid + 0.1) - 0.5
        for k in range(int(np.floor(place)) - 1, int(np.floor(place)) + 3):
            weights[i, np.clip(k, 0, side - 1)] += keys(abs(place - k))
    expected = np.einsum("ia,jb,abd->ijd", weights, weights, table).reshape(-1, 3)
    found = resampled(positions, grid)
    np.testing.assert_allclose(found[0, 1:].numpy(), expected, atol=1e-4)
    torch.testing.assert_close(found[:, 0], positions[:, 0])


def keys(x, a=-0.75):
    if x < 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a if x < 2 else 0.0


@pytest.mark.parametrize(
    ("shape", "side", "naming", "parameters"),
    [(vit.BASE, 518, META, 86_580_480), (vit.LARGE, 518, META, 304_368_640), (vit.CLIP_LARGE, 336, CLIP, 304_293_888)],
)
def test_the_full_networks_have_the_published_sizes(shape, side, naming, parameters):
    """Counts of torch.hub's dinov2_vitb14 and dinov2_vitl14, and of the image half of CLIP with its projection."""
    with torch.device("meta"):
        network = vision_transformer(shape, side)
    ours = sum(p.numel() for p in network.parameters())
    folded = 2 * shape.depth * shape.width if naming.scales else 0  # LayerScales, multiplied into the layers before
    mask_token = 0 if shape.projection else shape.width  # of the pretraining
    assert ours + folded + mask_token == parameters


def test_settings_that_the_networks_cannot_take_are_refused():
    with pytest.raises(ValidationError, match="multiple of 14"):
        Dinov2Spec(resolution=225)
    with pytest.raises(ValidationError):
        RadDinoSpec(resolution=14)
    with pytest.raises(ValidationError, match="sha256"):
        ClipSpec(sha256="abc")


def test_the_digest_of_ones_own_weights_is_part_of_the_key_and_their_place_is_not():
    assert Dinov2Spec(weights="/a").to_key() == Dinov2Spec().to_key()
    assert Dinov2Spec(sha256="0" * 64).to_key() != Dinov2Spec().to_key()
    assert Dinov2Spec(kind="dinov2-vitl14").to_key() != Dinov2Spec().to_key()


@pytest.mark.parametrize("spec", [Dinov2Spec, RadDinoSpec, ClipSpec])
def test_a_wrong_file_is_refused_before_anything_is_loaded(spec, tmp_path):
    (tmp_path / "w").write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    with pytest.raises(UserError, match="not the expected file"):
        spec(weights=str(tmp_path / "w")).build(CPU)
