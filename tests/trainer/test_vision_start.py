"""The weights a vision tower starts from do what their names say."""

from dataclasses import replace

import torch

from trainer.model import ModelShape, build_model, see
from trainer.tokenizer import train_tokenizer
from trainer.vision_start import continue_larger, whiten_patches

SHAPE = ModelShape(image_size=64, vision_width=96, vision_layers=2, vision_heads=3, text_width=32, text_layers=1,
                   text_heads=1, scale_factor=2)  # fmt: skip
VISION = build_model(SHAPE, train_tokenizer(), seed=0).model.vision_model


def test_a_patch_attends_to_its_neighbours_more_than_to_the_far_corner() -> None:
    layer = VISION.encoder.layers[0]
    places = VISION.embeddings.position_embedding.weight.detach()
    width = SHAPE.vision_width // SHAPE.vision_heads
    with torch.no_grad():
        states = layer.layer_norm1(places)
        queries = layer.self_attn.q_proj(states).view(16, 3, width).transpose(0, 1)
        keys = layer.self_attn.k_proj(states).view(16, 3, width).transpose(0, 1)
        attention = (queries @ keys.transpose(1, 2) / width**0.5).softmax(-1).mean(0)
    beside = attention[5, [1, 4, 6, 9]].mean()
    assert attention[5, 5] > beside > attention[5, 15]


def test_values_and_outputs_start_near_minus_identity() -> None:
    attention = VISION.encoder.layers[1].self_attn
    through = (attention.out_proj.weight @ attention.v_proj.weight).detach()
    assert -0.6 < float(through.diagonal().mean()) < -0.3
    assert abs(float((through - torch.diag(through.diagonal())).mean())) < 0.02


def test_whitened_patches_are_uncorrelated_and_centred() -> None:
    rng = torch.Generator().manual_seed(0)
    coarse = torch.rand(60, 3, 8, 8, generator=rng)
    pixels = torch.nn.functional.interpolate(coarse, size=(64, 64), mode="bilinear") * 2 - 1
    whiten_patches(VISION, pixels)
    with torch.no_grad():
        seen = VISION.embeddings.patch_embedding(pixels).flatten(2).transpose(1, 2).flatten(0, 1)
    assert float(seen.mean(0).abs().max()) < 1e-3
    strong = seen[:, seen.std(0) > 0.5]
    assert strong.shape[1] > 5
    correlation = torch.corrcoef(strong.T)
    assert float((correlation - torch.eye(strong.shape[1])).abs().max()) < 0.02


def test_finer_patches_go_on_where_coarser_ones_were() -> None:
    coarse = build_model(SHAPE, train_tokenizer(), seed=0)
    same = build_model(SHAPE, train_tokenizer(), seed=1)
    continue_larger(same, coarse)
    pixels = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        assert torch.equal(see(same, pixels)[1], see(coarse, pixels)[1])
        fine = build_model(replace(SHAPE, image_size=128, scale_factor=4), train_tokenizer(), seed=1)
        continue_larger(fine, coarse)
        # A token that joins the same patch state everywhere is what it was when it joined fewer of them.
        state = torch.randn(1, 1, 96, generator=torch.Generator().manual_seed(0))
        before = coarse.model.connector(state.repeat(1, 16, 1))
        after = fine.model.connector(state.repeat(1, 64, 1))
    assert after.shape == before.shape
    assert torch.allclose(after, before, rtol=0.05, atol=0.05 * float(before.abs().max()))


def test_more_layers_say_what_fewer_said_until_they_learn() -> None:
    shallow = build_model(SHAPE, train_tokenizer(), seed=0)
    deep = build_model(replace(SHAPE, vision_layers=3), train_tokenizer(), seed=1)
    continue_larger(deep, shallow)
    pixels = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    patches, tokens = see(deep, pixels)
    with torch.no_grad():
        before = see(shallow, pixels)
    assert torch.allclose(patches, before[0], atol=1e-5)
    assert torch.allclose(tokens, before[1], atol=1e-5)
    torch.autograd.backward(tokens.square().sum())
    added = deep.model.vision_model.encoder.layers[1].mlp.fc2.weight
    assert float(added.detach().abs().max()) == 0 and added.grad is not None and float(added.grad.abs().max()) > 0
