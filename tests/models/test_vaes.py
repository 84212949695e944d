"""VAEs by name and folder: what they reconstruct is what the library itself would."""

import json

import numpy as np
import pytest
import torch
from fixtures import vaes as tiny_vaes
from fixtures.drawn import texture
from huggingface_hub import errors as hub_errors
from safetensors.torch import load_file, save_file

from aligngemini.models import vaes
from aligngemini.models.vaes import PUBLISHED, VaeError, open_vae

IMAGES = np.stack([texture(32, 48, seed=seed) for seed in range(3)])
WEIGHTS = "diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module")
def kl(tmp_path_factory):
    return tiny_vaes.kl(tmp_path_factory.mktemp("vaes") / "kl-tiny")


def to_pixels(images, low):
    """(N, 3, H, W) from `low` to 1 as uint8 pixels, in double precision."""
    unit = (images.double() - low) / (1 - low)
    return (unit.clamp(0, 1) * 255).round().permute(0, 2, 3, 1).numpy()


def library(module, low, sample=None):
    """What the module's own interface gives for IMAGES, in its own range."""
    inputs = torch.from_numpy(IMAGES).permute(0, 3, 1, 2) / 255.0
    with torch.no_grad():
        return to_pixels(module(inputs * (1 - low) + low), low)


def test_mean_of_the_posterior_is_the_librarys(kl):
    from diffusers import AutoencoderKL

    module = AutoencoderKL.from_pretrained(kl)
    vae = open_vae(str(kl))
    assert vae.has_posterior
    expected = library(lambda x: module(x, sample_posterior=False).sample, -1)
    np.testing.assert_allclose(vae.reconstruct(IMAGES), expected, atol=1)


def test_sample_of_the_posterior_is_the_librarys(kl):
    from diffusers import AutoencoderKL

    module = AutoencoderKL.from_pretrained(kl)
    seeds = [3, 1, 4]

    def reconstruct(images):
        noise = [torch.Generator().manual_seed(seed) for seed in seeds]
        return module.decode(module.encode(images).latent_dist.sample(noise)).sample

    drawn = open_vae(str(kl)).reconstruct(IMAGES, seeds=seeds)
    np.testing.assert_allclose(drawn, library(reconstruct, -1), atol=1)


def test_noise_is_of_the_seed_and_not_of_the_batch(kl):
    vae = open_vae(str(kl))
    together = vae.reconstruct(IMAGES, seeds=[3, 1, 4])
    alone = vae.reconstruct(IMAGES[1:2], seeds=[1])[0]
    np.testing.assert_allclose(together[1].astype(int), alone, atol=1)
    other = vae.reconstruct(IMAGES[1:2], seeds=[2])[0]
    assert np.abs(other.astype(int) - alone).max() > 5


def test_tiny_autoencoder(tmp_path):
    """The library's own round trip, without the quantised latents of its `forward`."""
    from diffusers import AutoencoderTiny

    folder = tiny_vaes.tiny(tmp_path / "tiny")
    module = AutoencoderTiny.from_pretrained(folder)
    vae = open_vae(str(folder))
    assert (vae.factor, vae.has_posterior) == (4, False)
    expected = library(lambda x: module.decode(module.encode(x).latents).sample, -1)
    np.testing.assert_allclose(vae.reconstruct(IMAGES, seeds=[0, 1, 2]), expected, atol=1)


def test_flux2_counts_the_packing_of_its_latents(tmp_path):
    vae = open_vae(str(tiny_vaes.flux2(tmp_path / "flux2")))
    assert (vae.factor, vae.has_posterior) == (16, True)
    assert np.shape(vae.reconstruct(IMAGES)) == IMAGES.shape


def test_taef2_has_the_range_from_zero(tmp_path):
    from aligngemini.models.autoencoders import Taef2

    folder = tiny_vaes.taef2(tmp_path / "weights")
    vae = open_vae(str(folder))
    assert (vae.name, vae.factor, vae.has_posterior) == ("taef2", 8, False)
    np.testing.assert_allclose(vae.reconstruct(IMAGES), library(Taef2.load(folder), 0), atol=1)


def test_taef2_reconstructs_photos(shared_data):
    weights = shared_data.parent / "weights"
    if not weights.is_dir():
        pytest.skip("the TAEF2 weights are not beside this checkout")
    image = texture(64, 64, spread=4)
    error = open_vae(str(weights)).reconstruct(image[None])[0].astype(int) - image
    assert np.abs(error).mean() < 15


def test_pipeline_folder_is_its_vae(kl, tmp_path):
    pipeline = tmp_path / "my pipeline"
    pipeline.mkdir()
    (pipeline / "model_index.json").write_text("{}")
    (pipeline / "vae").symlink_to(kl)
    whole, direct = open_vae(str(pipeline)), open_vae(str(kl))
    assert whole.name == "my-pipeline"
    assert open_vae(str(pipeline / "vae")).name in ("my-pipeline", "kl-tiny")
    assert (direct.name, direct.factor) == ("kl-tiny", 8)
    assert whole.revision == direct.revision


def test_revision_is_of_the_weights(kl, tmp_path):
    other = open_vae(str(tiny_vaes.kl(tmp_path / "kl-tiny", seed=1)))
    assert other.revision != open_vae(str(kl)).revision
    assert len(other.revision) == 64


@pytest.mark.parametrize(("dtype", "apart"), [("bf16", 8), ("fp16", 2)])
def test_half_precision_stays_near(kl, dtype, apart):
    half = open_vae(str(kl), dtype=dtype)
    assert half.dtype == dtype
    full = np.array(open_vae(str(kl)).reconstruct(IMAGES, seeds=[0, 1, 2]), int)
    assert np.abs(half.reconstruct(IMAGES, seeds=[0, 1, 2]) - full).mean() < apart


def test_numbers_past_half_precision_are_said(kl):
    vae = open_vae(str(kl), dtype="fp16")
    # What SDXL's decoder does in fp16: values past 65504 on the way.
    vae.module.decoder.conv_in.weight.mul_(1e5)
    failed = vae.reconstruct(IMAGES, seeds=[7] * 3)
    assert [image.code for image in failed] == ["not-finite"] * 3


def test_only_the_image_that_overflows_is_left_out(kl, monkeypatch):
    vae = open_vae(str(kl))
    decode = vae.module.decode

    def overflow(latents):
        decoded = decode(latents)
        decoded.sample[1, 0, 2, 2] = torch.nan
        return decoded

    monkeypatch.setattr(vae.module, "decode", overflow)
    first, second, third = vae.reconstruct(IMAGES)
    assert second.code == "not-finite"
    assert "kl-tiny" in second.reason
    assert "--dtype" in second.reason
    assert isinstance(first, np.ndarray)
    assert isinstance(third, np.ndarray)


def test_batch_that_does_not_fit_is_halved(kl, monkeypatch):
    vae = open_vae(str(kl))
    expected = vae.reconstruct(IMAGES, seeds=[3, 1, 4])
    encode, widest = vae.module.encode, IMAGES.shape[2]

    def short_of_memory(inputs):
        if len(inputs) > 1:
            raise torch.OutOfMemoryError
        return encode(inputs)

    monkeypatch.setattr(vae.module, "encode", short_of_memory)
    np.testing.assert_allclose(vae.reconstruct(IMAGES, seeds=[3, 1, 4]), expected, atol=1)

    def no_memory(inputs):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(vae.module, "encode", no_memory)
    failed = vae.reconstruct(IMAGES)
    assert [image.code for image in failed] == ["out-of-memory"] * 3
    assert str(widest) in failed[0].reason


@pytest.mark.parametrize("device", ["cpu", "cpu:0"])
def test_cpu_computes_in_full_precision(kl, device):
    assert open_vae(str(kl), device=device).dtype == "fp32"


def test_name_that_leads_nowhere_is_said():
    with pytest.raises(VaeError, match=r"no VAE 'sd99'.*sd15, sd21"):
        open_vae("sd99")
    with pytest.raises(VaeError, match=r"no VAE '\./gone'"):
        open_vae("./gone")


def test_folder_without_a_vae_is_said(kl, tmp_path):
    with pytest.raises(VaeError, match="holds no VAE"):
        open_vae(str(tmp_path))
    (tmp_path / WEIGHTS).write_bytes((kl / WEIGHTS).read_bytes())
    with pytest.raises(VaeError, match=r"no config\.json of a diffusers VAE"):
        open_vae(str(tmp_path))


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("NoSuchVAE", "no model 'NoSuchVAE'"),
        ("DDIMScheduler", "no model 'DDIMScheduler'"),
        ("UNet2DModel", "cannot be read|do not belong|cannot encode"),
    ],
)
def test_folder_of_another_model_is_said(kl, tmp_path, kind, message):
    config = json.loads((kl / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "_class_name": kind}))
    (tmp_path / WEIGHTS).write_bytes((kl / WEIGHTS).read_bytes())
    with pytest.raises(VaeError, match=message):
        open_vae(str(tmp_path))


@pytest.mark.parametrize("change", ["missing", "unexpected", "shape", "truncated"])
def test_weights_of_another_vae_are_refused(kl, tmp_path, change):
    weights = load_file(kl / WEIGHTS)
    if change == "missing":
        del weights["decoder.conv_out.weight"]
    elif change == "unexpected":
        weights["decoder.pool.weight"] = torch.zeros(3)
    elif change == "shape":
        weights["decoder.conv_out.weight"] = torch.zeros(3)
    (tmp_path / "config.json").write_bytes((kl / "config.json").read_bytes())
    save_file(weights, tmp_path / WEIGHTS, metadata={"format": "pt"})
    if change == "truncated":
        data = (tmp_path / WEIGHTS).read_bytes()
        (tmp_path / WEIGHTS).write_bytes(data[: len(data) // 2])
    with pytest.raises(VaeError, match=r"cannot be read|do not belong together"):
        open_vae(str(tmp_path))


def test_taef2_files_of_another_network_are_refused(tmp_path):
    folder = tiny_vaes.taef2(tmp_path / "weights")
    (folder / "taef2_encoder.pth").write_bytes((folder / "taef2_decoder.pth").read_bytes())
    with pytest.raises(VaeError, match="TAEF2 files cannot be read"):
        open_vae(str(folder))


@pytest.mark.parametrize("name", [*PUBLISHED, "somebody/some-vae"])
def test_offline_says_what_is_missing(name, monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(VaeError, match="not in the local cache") as caught:
        open_vae(name)
    assert "/" in str(caught.value)
    assert "local folder" in str(caught.value)


def test_hub_cache_is_used_with_its_commit(kl, monkeypatch, tmp_path):
    """As the Hub's client lays a repository out, found without any network."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = tmp_path / "models--sd2-community--stable-diffusion-2-1"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(commit)
    (repository / "snapshots" / commit).mkdir(parents=True)
    (repository / "snapshots" / commit / "vae").symlink_to(kl)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    vae = open_vae("sd21")
    assert (vae.name, vae.revision) == ("sd21", commit)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("GatedRepoError", r"gated: accept its licence at https://huggingface\.co/a/b"),
        ("RevisionNotFoundError", "no revision 'v9'"),
        ("RepositoryNotFoundError", "no repository a/b, or it is private"),
    ],
)
def test_what_the_hub_refuses_is_said(kind, message, monkeypatch):
    error = getattr(hub_errors, kind)

    def refuse(*args, **kwargs):
        raise error.__new__(error)

    monkeypatch.setattr("huggingface_hub.snapshot_download", refuse)
    with pytest.raises(VaeError, match=message):
        open_vae("a/b", revision="v9")


def test_every_published_name_has_its_precision():
    assert set(PUBLISHED) == {"sd15", "sd21", "sdxl", "sd3", "flux1", "flux2", "taesd"}
    assert all(entry.half in vaes.DTYPES for entry in PUBLISHED.values())
