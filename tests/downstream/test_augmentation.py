import torch

from synthassay.downstream.augmentation import augment
from synthassay.downstream.specs import AugmentationSpec
from synthassay.seeding import torch_generator

NOTHING = AugmentationSpec(flip=False, shift=0, contrast=0, brightness=0)


def images() -> torch.Tensor:
    return torch.arange(4 * 2 * 8 * 10, dtype=torch.float32).reshape(4, 2, 8, 10)


def test_with_every_change_switched_off_images_stay_as_they_are() -> None:
    torch.testing.assert_close(augment(images(), NOTHING, torch_generator("a")), images(), rtol=0, atol=0)


def test_equal_generators_give_equal_images_and_others_do_not() -> None:
    spec = AugmentationSpec()
    first = augment(images(), spec, torch_generator("a"))
    assert torch.equal(first, augment(images(), spec, torch_generator("a")))
    assert not torch.equal(first, augment(images(), spec, torch_generator("b")))


def test_a_flip_mirrors_left_to_right_and_only_some_images() -> None:
    flipped = augment(images(), NOTHING.model_copy(update={"flip": True}), torch_generator("c"))
    kinds = []
    for row, source in zip(flipped, images(), strict=True):
        assert torch.equal(row, source) or torch.equal(row, source.flip(2))
        kinds.append(torch.equal(row, source))
    assert {True, False} == set(kinds)


def test_a_shift_moves_content_by_whole_pixels_and_repeats_the_edge() -> None:
    source = torch.zeros(64, 1, 9, 9)
    source[:, :, 4, 4] = 1
    moved = augment(source, NOTHING.model_copy(update={"shift": 2}), torch_generator("d"))
    places = moved.flatten(1).argmax(1)
    assert set((places // 9).tolist()) == set((places % 9).tolist()) == {2, 3, 4, 5, 6}
    torch.testing.assert_close(moved.sum((1, 2, 3)), torch.ones(64), rtol=0, atol=0)


def test_switching_one_change_off_leaves_the_draws_of_the_others() -> None:
    jittered = NOTHING.model_copy(update={"contrast": 0.2, "brightness": 0.3})
    still = augment(torch.ones(4, 1, 8, 8), jittered, torch_generator("e"))
    moving = augment(
        torch.ones(4, 1, 8, 8), jittered.model_copy(update={"shift": 3, "flip": True}), torch_generator("e")
    )
    torch.testing.assert_close(still, moving, rtol=0, atol=0)
