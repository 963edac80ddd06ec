"""What Dagster is told of the steps that load streams: retries, pool, tags and hooks."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import Any

import dagster as dg

from etl_assets.assets.bindings import Binding
from etl_assets.exceptions import ConfigError

SHARED = ("retry_policy", "pool", "op_tags", "hooks", "code_version")
"""Options of a stream that are its step's: streams that share a step share these, too."""


@dataclass(frozen=True)
class StepSettings:
    """The settings of one step.

    Args:
        retry_policy: When Dagster tries it again.
        pool: Dagster's limit on what runs at once.
        op_tags: Tags for the executor and the run launcher, such as a Celery queue.
        hooks: What Dagster calls when it has succeeded or failed.
        name: Of the one step of many streams, in place of its source's.
        backfill_policy: How many partitions a run of a backfill is for.
        resources: What its assets bring along: the destination, by its key.
    """

    retry_policy: dg.RetryPolicy | None = None
    pool: str | None = None
    op_tags: Mapping[str, Any] | None = None
    hooks: AbstractSet[dg.HookDefinition] | None = None
    name: str | None = None
    backfill_policy: dg.BackfillPolicy | None = None
    resources: Mapping[str, dg.ResourceDefinition] = field(default_factory=dict)

    def of_op(self) -> dict[str, Any]:
        """Return the arguments of an op; hooks belong to the asset that it is part of."""
        return {"retry_policy": self.retry_policy, "pool": self.pool, "tags": self.op_tags}

    def of_stream(self, binding: Binding) -> "StepSettings":
        """Return the settings of a stream's own step: its options, else what is said here."""
        options = binding.options
        return replace(
            self,
            retry_policy=options.retry_policy or self.retry_policy,
            pool=options.pool or self.pool,
            op_tags=options.op_tags or self.op_tags,
            hooks=options.hooks or self.hooks,
            backfill_policy=options.backfill_policy or self.backfill_policy,
        )

    def of_streams(self, bindings: Sequence[Binding]) -> "StepSettings":
        """Return the settings of the one step that these streams share.

        Raises:
            ConfigError: The options of two of them contradict each other.
        """
        first = bindings[0]
        for other in bindings[1:]:
            for option in SHARED:
                _check_alike(first, other, option)
        partitioned = [one for one in bindings if one.is_partitioned]
        for other in partitioned[1:]:
            _check_alike(partitioned[0], other, "backfill_policy")
        policy = partitioned[0].options.backfill_policy if partitioned else None
        return replace(self.of_stream(first), backfill_policy=policy)


def _check_alike(first: Binding, other: Binding, option: str) -> None:
    if (getattr(first.options, option) or None) == (getattr(other.options, option) or None):
        return
    # The one that says something is the one to look at.
    named, beside = (first, other) if getattr(first.options, option) else (other, first)
    raise ConfigError(
        f"stream {named.stream.full_name!r}: all streams of its source share one step, so it "
        f"cannot have another {option} than {beside.stream.full_name!r}.",
        hint="Give it to all of them, with defaults=StreamOptions(...), or read each by itself "
        'with granularity="stream".',
        stream=named.stream.name,
    )
