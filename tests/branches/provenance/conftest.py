"""Who signs, and the branch that believes one of them."""

import pytest
from fixtures.signing import Authority, authority

from aligngemini.branches.provenance import ProvenanceBranch


@pytest.fixture(scope="session")
def trusted() -> Authority:
    return authority("Trusted House")


@pytest.fixture(scope="session")
def stranger() -> Authority:
    return authority("Stranger")


@pytest.fixture(scope="session")
def believing(trusted, tmp_path_factory) -> ProvenanceBranch:
    """A branch that believes the signers under `trusted`."""
    path = tmp_path_factory.mktemp("trust") / "authorities.pem"
    path.write_text(trusted.root)
    return ProvenanceBranch(trust=path)
