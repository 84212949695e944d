"""The trust list: what is accepted as one, and what is refused with words."""

import re

import pytest
from fixtures.metadata import encode, judge
from fixtures.signing import action, authority, sign

from aligngemini.branches.provenance import ProvenanceBranch


def leaf(signer) -> str:
    return signer.chain.split("-----END CERTIFICATE-----")[0] + "-----END CERTIFICATE-----\n"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "holds no PEM certificate"),
        (b"nobody", "holds no PEM certificate"),
        (b"\xff\xfe\x00", "cannot be read"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "damaged certificate"),
    ],
)
def test_what_is_no_trust_list_is_refused(content, said, tmp_path):
    path = tmp_path / "list.pem"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(str(path)) + f".*{said}"):
        ProvenanceBranch(trust=path)


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(ValueError, match="there is no such file"):
        ProvenanceBranch(trust=tmp_path / "nowhere.pem")
    with pytest.raises(ValueError, match="cannot be read"):
        ProvenanceBranch(trust=str(tmp_path))


def test_a_signing_certificate_is_not_an_authority(trusted, tmp_path):
    path = tmp_path / "leaf.pem"
    path.write_text(trusted.root + leaf(trusted))
    with pytest.raises(ValueError, match="not authorities"):
        ProvenanceBranch(trust=path)


def test_comments_between_certificates_are_passed_over(trusted, tmp_path):
    path = tmp_path / "list.pem"
    path.write_text(f"# Authorité\n{authority().root}\nO=Zweite, C=DE\n{trusted.root}")
    source = action("c2pa.created", "trainedAlgorithmicMedia")
    data = sign(encode("PNG"), "image/png", trusted, source)
    assert judge(data, ProvenanceBranch(trust=path)).verdict == "fake"


def test_fingerprint_names_rules_library_and_list(trusted, tmp_path):
    path = tmp_path / "list.pem"
    path.write_text(trusted.root)
    plain, first = ProvenanceBranch(), ProvenanceBranch(trust=path)
    path.write_text(trusted.root + authority("Second").root)
    second = ProvenanceBranch(trust=path)
    assert re.fullmatch(r"rules-\d+\+c2pa-[\d.]+", plain.fingerprint)
    assert len({plain.fingerprint, first.fingerprint, second.fingerprint}) == 3
    assert plain.fingerprint == ProvenanceBranch().fingerprint
