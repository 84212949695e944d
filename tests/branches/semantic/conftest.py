"""Models that several tests ask."""

import pytest
from fixtures.vlm_answers import answering_vlm_folder


@pytest.fixture(scope="session")
def answering(tmp_path_factory):
    """Folder of a base model that calls dark images fake, bright ones real, and says why."""
    return answering_vlm_folder(tmp_path_factory.mktemp("vlm") / "answering")
