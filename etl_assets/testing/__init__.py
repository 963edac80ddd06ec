"""The conformance kit: inherit a class, define a fixture, and a connector's promises are checked.

```python
class TestMine(DestinationConformance):
    @pytest.fixture
    def destination(self, tmp_path):
        return MyDestination(tmp_path / "data")
```
"""

from importlib.util import find_spec

from etl_assets.exceptions import ConfigError

if any(find_spec(name) is None for name in ("pytest", "hypothesis")):
    raise ConfigError(
        "etl_assets.testing needs pytest and hypothesis.",
        hint="Install them: pip install 'etl-assets[testing]'.",
    )

import pytest

pytest.register_assert_rewrite(
    "etl_assets.testing.destination", "etl_assets.testing.state", "etl_assets.testing.rows"
)
pytest.register_assert_rewrite("etl_assets.testing.kit", "etl_assets.testing.source")
pytest.register_assert_rewrite(
    "etl_assets.testing.failing", "etl_assets.testing.kills", "etl_assets.testing.site"
)

# Imported only now: pytest has to know of their asserts before.
from etl_assets.testing.cases import Case, load_cases  # noqa: E402
from etl_assets.testing.destination import DestinationConformance  # noqa: E402
from etl_assets.testing.source import SourceConformance  # noqa: E402

__all__ = ["Case", "DestinationConformance", "SourceConformance", "load_cases"]
