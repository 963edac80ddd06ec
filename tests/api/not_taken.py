"""Which public names of PyAirbyte 0.71.3 are not taken over, and why; `docs/pyairbyte.md` has the table."""

from fnmatch import fnmatchcase

from tests.api.tree import TREE

CLOUD = "Airbyte Cloud and its agents: they need an account there."
REGISTRY = "The network's registry: names come from a shipped index, and it knows no versions."
PROCESSOR = "How PyAirbyte writes SQL: here a destination does, and a cache answers to what scripts call of it."
DISPLAY = "How PyAirbyte draws its progress."
OWN = "An address or a constant of PyAirbyte's own, without a use here."
ELSEWHERE = "Another module's name, which is found there."

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
    "validate.install_only_test": "What `validate(validate_install_only=True)` does.",
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
