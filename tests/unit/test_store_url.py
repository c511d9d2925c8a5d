"""Where the store is said wrongly, it is told how to say it, and never with the password."""

from __future__ import annotations

import pytest

from hub.errors import ConfigurationError
from hub.store.engine import HubStore


@pytest.mark.parametrize(
    "url", ["garbage", "", "mysql://a:s3cret@b/c", "postgresql+psycopg://a:s3cret@b:port/c", "sqlite:///x"]
)
def test_what_is_no_url_of_a_store_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"JISR_STORE_URL: .*postgresql\+psycopg://") as refusal:
        HubStore(url)
    assert "s3cret" not in str(refusal.value)
