"""Where a PostgreSQL is said wrongly, it is told how to say it, and never with the password."""

from __future__ import annotations

import pytest

from hub.errors import ConfigurationError
from hub.registry.storage import open_engine
from hub.store.engine import HubStore


@pytest.mark.parametrize(
    "url", ["garbage", "", "mysql://a:s3cret@b/c", "postgresql+psycopg://a:s3cret@b:port/c", "sqlite:///x"]
)
def test_what_is_no_url_of_postgresql_is_refused(url: str) -> None:
    for open_it, setting in ((HubStore, "JISR_STORE_URL"), (open_engine, "--database")):
        with pytest.raises(ConfigurationError, match=f"{setting}: .*postgresql://") as refusal:
            open_it(url)  # type: ignore[operator]
        assert "s3cret" not in str(refusal.value)


@pytest.mark.parametrize("scheme", ["postgresql", "postgresql+psycopg"])
def test_the_driver_need_not_be_named(scheme: str) -> None:
    url = f"{scheme}://a:s3cret@b:5433/c?sslmode=verify-full"
    for engine in (HubStore(url).engine, open_engine(url)):
        assert engine.url.render_as_string(hide_password=False) == url.replace(scheme, "postgresql+psycopg")
