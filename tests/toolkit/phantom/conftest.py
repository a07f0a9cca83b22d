import pytest


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch):
    """Every test draws into a cache of its own."""
    monkeypatch.setenv("MSTL_EDGE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"
