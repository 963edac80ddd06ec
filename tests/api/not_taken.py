"""Which public names of PyAirbyte 0.71.3 are not taken over, and why; `docs/pyairbyte.md` has the table."""

from fnmatch import fnmatchcase

from tests.api.tree import TREE

CLOUD = "They belong to Airbyte Cloud and its agents, and need an account there."
REGISTRY = "They ask the registry over the network. Here the names come from an index that is part of the library."
PROCESSOR = "They are how PyAirbyte writes SQL. Here a destination does that, and a cache has the methods that scripts call."
DISPLAY = "They are how PyAirbyte draws its progress."
OWN = "They are addresses and constants of PyAirbyte's own, which have no use here."
ELSEWHERE = "They are names of another module, which has them."

REASONS: dict[str, str] = {
    "agents": CLOUD,
    "cloud": CLOUD,
    "mcp": CLOUD,
    "caches.base.TEMP_FILE_CLEANUP": ELSEWHERE,
    "constants.AGENTS_*": CLOUD,
    "constants.CLOUD_*": CLOUD,
    "constants.MCP_*": CLOUD,
    "constants.*_hosted_mcp_mode": CLOUD,
    "exceptions.AIRBYTE_PRINT_FULL_ERROR_LOGS": ELSEWHERE,
    "exceptions.AirbyteAgents*": CLOUD,
    "exceptions.AirbyteConnectionError": CLOUD,
    "exceptions.AirbyteConnectionSync*": CLOUD,
    "exceptions.AirbyteDeferredSetupError": CLOUD,
    "exceptions.AirbyteDuplicateResourcesError": CLOUD,
    "exceptions.AirbyteMCPError": CLOUD,
    "exceptions.AirbyteMissing*": CLOUD,
    "exceptions.AirbyteMultipleResourcesError": CLOUD,
    "exceptions.AirbyteNoCloudCredentialsError": CLOUD,
    "exceptions.AirbyteTrustedExecutionRequiredError": CLOUD,
    "exceptions.AirbyteWorkspace*": CLOUD,
    "exceptions.CLOUD_*": CLOUD,
    "exceptions.MCP_*": CLOUD,
    "exceptions.DOCS_URL*": OWN,
    "exceptions.NEW_ISSUE_URL": OWN,
    "exceptions.VERTICAL_SEPARATOR": OWN,
    "progress.[A-Z]*_*": DISPLAY,
    "progress.ipy_display": DISPLAY,
    "registry.AIRBYTE_OFFLINE_MODE": ELSEWHERE,
    "registry.ApiDocsUrl": REGISTRY,
    "registry.ConnectorVersionInfo": REGISTRY,
    "registry.get_connector_api_docs_urls": REGISTRY,
    "registry.get_connector_version_history": REGISTRY,
    "secrets.hydration.AIRBYTE_OFFLINE_MODE": ELSEWHERE,
    "secrets.hydration.GLOBAL_MASK_KEYS_URL": REGISTRY,
    "secrets.util.SECRETS_HYDRATION_PREFIX": ELSEWHERE,
    "shared.SqlProcessorBase": PROCESSOR,
    "shared.sql_processor.[!S]*": PROCESSOR,
    "shared.sql_processor.SQLRuntimeError": PROCESSOR,
    "shared.sql_processor.SqlProcessorBase": PROCESSOR,
    "validate.NO_UV": ELSEWHERE,
    "validate.install_only_test": "Call `validate(validate_install_only=True)` instead.",
}
"""By pattern of a name with its module."""


def names() -> list[str]:
    """Return every public name of PyAirbyte's, with its module."""
    return [
        f"{module}.{name}".lstrip(".") for module, found in TREE.items() for name in found.split()
    ]


def reason(name: str) -> str | None:
    """Return why a name is not taken over; None of one that is."""
    return next((why for pattern, why in REASONS.items() if fnmatchcase(name, pattern)), None)
