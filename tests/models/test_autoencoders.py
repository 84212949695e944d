"""TAEF2's layout; its weights are the user's own, so these are drawn."""

import pytest
import torch

from aligngemini.models.autoencoders import FACTOR, LATENTS, Taef2


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return Taef2().eval()


def test_latents_are_an_eighth_of_the_size(model):
    with torch.no_grad():
        latents = model.encoder(torch.rand(1, 3, 32, 48))
        assert latents.shape == (1, LATENTS, 32 // FACTOR, 48 // FACTOR)
        assert model(torch.rand(1, 3, 32, 48)).shape == (1, 3, 32, 48)


def test_decoder_bounds_its_latents(model):
    with torch.no_grad():
        high, higher = (model.decoder(torch.full((1, LATENTS, 4, 4), v)) for v in (1e3, 1e4))
    torch.testing.assert_close(high, higher)


def test_weights_read_back(model, tmp_path):
    for part in ("encoder", "decoder"):
        torch.save(getattr(model, part).state_dict(), tmp_path / f"taef2_{part}.pth")
    loaded = Taef2.load(tmp_path)
    image = torch.rand(1, 3, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(loaded(image), model(image), rtol=0, atol=0)
    assert not loaded.training


def test_other_or_missing_weights_are_refused(model, tmp_path):
    with pytest.raises(FileNotFoundError):
        Taef2.load(tmp_path)
    for part in ("encoder", "decoder"):
        torch.save(model.encoder.state_dict(), tmp_path / f"taef2_{part}.pth")
    with pytest.raises(RuntimeError):
        Taef2.load(tmp_path)
