"""The rows at a bookmark that are loaded already, and how they are recognised when they come again.

A source reads `>=` its bookmark, so the rows that have the bookmark's own replication key come
twice. Where rows are appended they must be told from new rows of the same key, and the stream may
have changed in the meantime: a column that was added, filled, dropped, renamed, deselected or given
another type says nothing about which row it is.

So each loaded row is kept as one short hash per field (its *cells*), together with the fields there
were and the kind of their values. A row that comes is the same row

1. if all cells are equal and its other fields are NULL; else
2. if its primary key is equal, where the stream has one; else
3. if the cells are equal in all fields that both sides had, with values of the same kind.

The replication key is no such field: all these rows are equal in it, however a source may write it
today.

Equal rows are counted, never merged: a stream without a primary key may really have them twice.
What cannot be decided is an error, raised before anything is committed.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from etl_assets.model.bookmarks.row_cells import (
    NULL,
    ROW_BYTES,
    Row,
    Seen,
    alike,
    content_of,
    hash_of,
    joined,
    row_hash,
)

MAX_CELLS = 2_000
"""Beyond so many cells only one hash per row is kept, so that a bookmark stays small (20 KB)."""


class UndecidableError(Exception):
    """Nothing tells which rows are loaded; the text says why, as the end of a sentence."""


@dataclass
class Group:
    """Loaded rows that had the same fields.

    Args:
        kinds: The kind of the values of each field; None where all were NULL.
        rows: How often a row is loaded, by its token: the cells of the fields in the order of their
            names, or one hash of them where `whole`.
        whole: There were too many rows to keep their cells.
    """

    kinds: dict[str, str | None]
    rows: Counter[str] = field(default_factory=Counter)
    whole: bool = False

    def __post_init__(self) -> None:
        self.fields = sorted(self.kinds)
        self._places = {name: place * len(NULL) for place, name in enumerate(self.fields)}

    def to_json(self) -> dict[str, Any]:
        """Return the group as it is stored with a bookmark."""
        rows = {token: count for token, count in self.rows.items() if count > 0}
        stored: dict[str, Any] = {"fields": self.kinds, "rows": rows}
        if self.whole:
            stored["whole"] = True
        return stored

    def token(self, cells: Mapping[str, str]) -> str:
        """Return what a row is stored under: its cells in the fields of this group."""
        together = "".join(cells.get(name, NULL) for name in self.fields)
        return hash_of(together, ROW_BYTES) if self.whole else together

    def cell(self, token: str, name: str) -> str:
        """Return the cell of one field out of a token that is not a whole row's hash."""
        start = self._places[name]
        return token[start : start + len(NULL)]


class LoadedRows:
    """Collects the rows that are loaded at one replication key, to be stored with the bookmark.

    Args:
        groups: Those stored before; they stay as they are, with the fields that there were then.
        key: What tells rows of one replication key apart, and is enough where there are too many to
            keep all their cells; None where nothing does.
    """

    def __init__(self, groups: Sequence[Group] = (), key: Collection[str] | None = None) -> None:
        self._groups = [Group(dict(one.kinds), Counter(one.rows), one.whole) for one in groups]
        self._key = key

    def __len__(self) -> int:
        return sum(group.rows.total() for group in self._groups)

    def add(self, rows: Sequence[Row]) -> None:
        """Take rows that are loaded."""
        if not rows:
            return
        seen = Seen.of(rows)
        group = self._group_for(seen.kinds)
        group.rows.update(group.token(cells) for cells in seen.cells)

    def to_json(self) -> list[dict[str, Any]]:
        """Return them as they are stored with a bookmark."""
        for group in list(self._groups):
            if not group.whole and len(group.rows) * len(group.fields) > MAX_CELLS:
                self._groups.remove(group)
                self._add_shortened(group)
        return [group.to_json() for group in self._groups]

    def _group_for(self, kinds: Mapping[str, str | None]) -> Group:
        for group in self._groups:
            if _may_hold(group, kinds):
                for name, kind in kinds.items():
                    group.kinds[name] = joined(group.kinds[name], kind)
                return group
        self._groups.append(Group(dict(kinds)))
        return self._groups[-1]

    def _add_shortened(self, group: Group) -> None:
        """Keep one hash for each row: of its primary key if there is one, else of all its cells."""
        names: Collection[str] = group.kinds
        if self._key is not None and group.kinds.keys() >= set(self._key):
            names = self._key
        kinds = {name: kind for name, kind in group.kinds.items() if name in names}
        kept = next((one for one in self._groups if one.whole and one.kinds == kinds), None)
        if kept is None:
            kept = Group(kinds, whole=True)
            self._groups.append(kept)
        for token, count in group.rows.items():
            cells = {name: group.cell(token, name) for name in kept.fields}
            kept.rows[kept.token(cells)] += count


def _may_hold(group: Group, kinds: Mapping[str, str | None]) -> bool:
    """Return whether rows with values of these kinds can be kept in a group."""
    if group.whole or group.kinds.keys() != kinds.keys():
        return False
    return all(alike(group.kinds[name], kind) for name, kind in kinds.items())


class Recogniser:
    """Tells which rows that come at a bookmark are loaded already.

    Each loaded row is recognised once.

    Args:
        groups: The loaded rows.
        key: What tells rows of one replication key apart, as the stream is now; None where nothing
            does.
    """

    def __init__(self, groups: Sequence[Group], key: Collection[str] | None) -> None:
        self._groups = [Group(dict(one.kinds), Counter(one.rows), one.whole) for one in groups]
        self._key = None if key is None else tuple(sorted(key))
        self._doubts: dict[int, str] = {}
        """Why rows may not have been found in a group that has only hashes, by its place."""
        self._partly: dict[tuple[str, ...], dict[str, str]] = {}
        """What rows have that were recognised by some fields alone, by those and their cells."""
        self.told_by: set[str] = set()
        """The fields that had to be enough, where the rows have other fields by now."""
        self.changed = 0
        """How many rows were recognised by their primary key, though other values have changed."""
        self.new = 0
        """How many rows are none of those loaded."""

    @property
    def missing(self) -> int:
        """How many loaded rows have not come yet."""
        return sum(group.rows.total() for group in self._groups)

    @property
    def undecided(self) -> str | None:
        """Why rows that came may be loaded ones with other fields, or None.

        They are not, if the loaded ones still come as they were.
        """
        for place, why in self._doubts.items():
            if self._groups[place].rows.total() > 0:
                return why
        return None

    def recognise(self, rows: Sequence[Row]) -> list[bool]:
        """Return for each row whether it is loaded already.

        Raises:
            UndecidableError: The rows have changed so that nothing tells.
        """
        seen = Seen.of(rows)
        unknown = list(range(len(rows)))
        for group in self._groups:
            unknown = self._exactly(group, seen, unknown)
        for place, group in enumerate(self._groups):
            if unknown and group.rows.total() > 0:
                unknown = self._partially(place, group, seen, unknown)
        self._refuse_candidates(seen, unknown)
        self.new += len(unknown)
        new = set(unknown)
        return [row not in new for row in range(len(rows))]

    @staticmethod
    def _exactly(group: Group, seen: Seen, candidates: list[int]) -> list[int]:
        """Recognise the rows whose every cell is known, and return the others."""
        others = [name for name in seen.kinds if name not in group.kinds]
        left = []
        for row in candidates:
            cells = seen.cells[row]
            token = group.token(cells)
            has_more = any(cells.get(name, NULL) != NULL for name in others)
            if has_more or group.rows[token] <= 0:
                left.append(row)
            else:
                group.rows[token] -= 1
        return left

    def _partially(self, place: int, group: Group, seen: Seen, candidates: list[int]) -> list[int]:
        """Recognise rows that are equal in the fields both sides have, and return the others."""
        if group.whole:
            left = self._by(group, tuple(group.fields), seen, candidates)
            if left and _differs(group, seen):
                what = _difference(group, seen)
                why = f"{what}, and there were too many rows to keep all their values"
                self._doubts.setdefault(place, why)
            return left
        both = [name for name in group.fields if group.kinds[name] and name in seen.kinds]
        same_kind = [name for name in both if alike(group.kinds[name], seen.kinds[name])]
        if self._key is not None and set(self._key) <= set(group.fields):
            return self._by_key(group, self._key, both, same_kind, seen, candidates)
        return self._by_common(group, both, same_kind, seen, candidates)

    def _by_key(
        self,
        group: Group,
        key: tuple[str, ...],
        both: list[str],
        same_kind: list[str],
        seen: Seen,
        candidates: list[int],
    ) -> list[int]:
        """Recognise rows by their primary key, and return the others.

        Raises:
            UndecidableError: The key itself has changed.
        """
        if set(key) <= set(both):
            candidates = self._by(group, key, seen, candidates)
        some_are_left = bool(candidates) and group.rows.total() > 0
        if some_are_left and not set(key) <= set(same_kind):
            raise UndecidableError(f"{_difference(group, seen)}, and that is the primary key")
        return candidates

    def _by_common(
        self, group: Group, both: list[str], same_kind: list[str], seen: Seen, candidates: list[int]
    ) -> list[int]:
        """Recognise rows by the fields both sides have, and return the others.

        What those leave is told by the fields whose kind is still the same.
        """
        for fields in (both, same_kind):
            if not candidates or group.rows.total() <= 0:
                break
            if not fields:
                raise UndecidableError(
                    f"{_difference(group, seen)}, and there is no other field to tell them by"
                )
            candidates = self._by(group, tuple(fields), seen, candidates)
        return candidates

    def _by(
        self, group: Group, fields: tuple[str, ...], seen: Seen, candidates: list[int]
    ) -> list[int]:
        """Recognise rows by some of their fields, and return the others."""
        known: dict[str, list[str]] = {}
        for token, count in group.rows.items():
            short = token if group.whole else "".join(group.cell(token, name) for name in fields)
            known.setdefault(short, []).extend([token] * count)
        left = []
        for row in candidates:
            cells = seen.cells[row]
            short = _short(group, fields, cells)
            tokens = known.get(short)
            if not tokens:
                left.append(row)
                continue
            token = tokens.pop()
            group.rows[token] -= 1
            if fields == self._key:
                self.changed += not group.whole and _is_changed(group, token, cells, seen)
            else:
                self._partly.setdefault(fields, {})[short] = content_of(cells)
                self.told_by.update(fields)
        return left

    def _refuse_candidates(self, seen: Seen, unknown: Sequence[int]) -> None:
        """Refuse rows any of which may be the loaded one, if another was taken for it.

        Raises:
            UndecidableError: There are such rows.
        """
        for group in self._groups:
            for fields, taken in self._partly.items():
                if not set(fields) <= set(group.fields):
                    continue
                for row in unknown:
                    content = taken.get(_short(group, fields, seen.cells[row]))
                    if content is not None and content != content_of(seen.cells[row]):
                        raise UndecidableError(
                            f"{_difference(group, seen)}, and rows that differ only there may each "
                            "be the loaded one"
                        )


def _short(group: Group, fields: Sequence[str], cells: Mapping[str, str]) -> str:
    """Return what a row has in these fields, or in a whole group, what it would be stored under."""
    if group.whole:
        with_values = [name for name, kind in group.kinds.items() if kind]
        return group.token({name: cells.get(name, NULL) for name in with_values})
    return "".join(cells.get(name, NULL) for name in fields)


def _differs(group: Group, seen: Seen) -> bool:
    """Return whether the rows that came lack a field of a group, or have other kinds in it."""
    fields = [name for name, kind in group.kinds.items() if kind]
    return len(_comparable_fields(group, seen)) < len(fields)


def _is_changed(group: Group, token: str, cells: Mapping[str, str], seen: Seen) -> bool:
    names = _comparable_fields(group, seen)
    return any(group.cell(token, name) != cells.get(name, NULL) for name in names)


def _comparable_fields(group: Group, seen: Seen) -> list[str]:
    """Return the fields with values in a group that have the same kind in the rows that came."""
    return [
        name
        for name, kind in group.kinds.items()
        if kind and name in seen.kinds and alike(kind, seen.kinds[name])
    ]


class Boundary:
    """What a sync knows of the rows at its bookmark: those stored with it, and those it loads.

    Args:
        stored: What an earlier sync stored (`to_json`), in this form or that of earlier versions;
            None for nothing.
        primary_key: That of the stream, as it is now.
        cursor: Its replication key.
        selects: Whether a field is selected; the others come and go without being loaded.
        fields_before: The fields of the table after the last load, where that is known.

    Raises:
        ValueError: What is stored is nothing that `to_json` writes.
    """

    def __init__(
        self,
        stored: Any,
        *,
        primary_key: Sequence[str],
        cursor: Sequence[str],
        selects: Callable[[str], bool],
        fields_before: Collection[str] | None = None,
    ) -> None:
        groups, earlier = _read(stored)
        self._selects = selects
        self._cursor = frozenset(cursor)
        self._key: list[str] | None = None
        if primary_key:
            # All rows at the bookmark are equal in the replication key: it tells none apart.
            self._key = [name for name in primary_key if name not in self._cursor]
        self._recogniser = Recogniser(groups, self._key)
        self._earlier = EarlierFormat(earlier, fields_before)
        self._loaded = LoadedRows(groups, self._key)
        self._moved = False

    def __len__(self) -> int:
        """How many rows are loaded at the key that was reached."""
        return len(self._loaded) + (0 if self._moved else self._earlier.remaining)

    @property
    def undecided(self) -> bool:
        """Whether rows still to come decide which of those that came are loaded already."""
        return self._earlier.undecided or self._recogniser.undecided is not None

    @property
    def told_by(self) -> list[str]:
        """The fields that were enough to recognise rows whose other fields have changed."""
        return sorted(self._recogniser.told_by)

    @property
    def changed(self) -> int:
        """How many rows had their primary key recognised, and other values than those loaded."""
        return self._recogniser.changed

    @property
    def replaced(self) -> tuple[int, int]:
        """How many loaded rows have not come again, and how many others came.

        A primary key tells what they are: with one, both are 0.
        """
        if self._key is not None:
            return 0, 0
        return self._recogniser.missing, self._recogniser.new

    def recognise(self, rows: Sequence[Row]) -> list[bool]:
        """Return for each row whether an earlier sync has loaded it.

        Raises:
            UndecidableError: The rows have changed so that nothing tells.
        """
        selected = [self._selected(row) for row in rows]
        known = self._recogniser.recognise(selected)
        if not self._earlier.remaining:
            return known
        others = [place for place, is_known in enumerate(known) if not is_known]
        among_earlier = self._earlier.recognise([rows[place] for place in others])
        for place, is_known in zip(others, among_earlier, strict=True):
            known[place] = is_known
            if is_known and not self._moved:
                self._loaded.add([selected[place]])  # from now on by its cells
        return known

    def load(self, rows: Sequence[Row]) -> None:
        """Record the rows at the key that was reached, which this sync loads."""
        self._loaded.add([self._selected(row) for row in rows])

    def move(self) -> None:
        """Take note that a larger key was reached: the rows at the last one will not come again."""
        self._loaded = LoadedRows((), self._key)
        self._moved = True

    def settle(self) -> None:
        """Take note that all rows at the stored bookmark have come.

        Raises:
            UndecidableError: Some are neither those expected nor certainly others.
        """
        if self._recogniser.undecided is not None:
            raise UndecidableError(self._recogniser.undecided)
        if self._earlier.undecided:
            raise UndecidableError(
                "an earlier version of this library stored them by all of their values, and not "
                "all have come again as they were"
            )

    def to_json(self) -> list[dict[str, Any]]:
        """Return what is to be stored with the bookmark."""
        stored = self._loaded.to_json()
        if self._earlier.remaining and not self._moved:
            stored.append({"hashes": self._earlier.to_json()})
        return stored

    def _selected(self, row: Row) -> Row:
        return {
            name: value
            for name, value in row.items()
            if name not in self._cursor and self._selects(name)
        }


def _read(stored: Any) -> tuple[list[Group], dict[str, int]]:
    """Return the rows that are kept by their cells, and those that earlier versions kept by a hash.

    Raises:
        ValueError: It is something else.
    """
    if isinstance(stored, Mapping):
        return [], _counts(stored)
    groups: list[Group] = []
    earlier: dict[str, int] = {}
    try:
        for one in stored or ():
            if "hashes" in one:
                earlier = _counts(one["hashes"])
            else:
                rows = Counter(_counts(one["rows"]))
                groups.append(Group(dict(one["fields"]), rows, bool(one.get("whole"))))
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{error!r}") from error
    for group in groups:
        width = len(group.fields) * len(NULL)
        if not group.whole and any(len(token) != width for token in group.rows):
            raise ValueError("a row has more or fewer cells than there are fields")
    return groups, earlier


def _counts(stored: Mapping[str, Any]) -> dict[str, int]:
    return {str(token): int(count) for token, count in stored.items()}


class EarlierFormat:
    """Rows as versions before the cells stored them: one hash of all values that were not NULL.

    Args:
        stored: How often each hash was loaded.
        fields_before: The fields of the table after that load, so that a column which came later
            can be left out.
    """

    def __init__(self, stored: Mapping[str, int], fields_before: Collection[str] | None) -> None:
        self._left = Counter(stored)
        self._fields = fields_before
        self._unknown = 0

    @property
    def undecided(self) -> bool:
        """Whether unexpected rows have come that may be the expected ones with other values."""
        return self._unknown > 0 and self._left.total() > 0

    @property
    def remaining(self) -> int:
        """How many loaded rows have not come yet."""
        return self._left.total()

    def to_json(self) -> dict[str, int]:
        """Return those that have not come yet, as they were stored."""
        return {one: count for one, count in self._left.items() if count > 0}

    def recognise(self, rows: Sequence[Row]) -> list[bool]:
        """Return for each row whether it is loaded already."""
        found = [self._take(row) for row in rows]
        self._unknown += found.count(False)
        return found

    def _take(self, row: Row) -> bool:
        hashes = [row_hash(row)]
        if self._fields is not None:
            before = {name: value for name, value in row.items() if name in self._fields}
            hashes.append(row_hash(before))
        known = next((one for one in hashes if self._left[one] > 0), None)
        if known is None:
            return False
        self._left[known] -= 1
        return True


def _difference(group: Group, seen: Seen) -> str:
    """Return in words what has become of the fields of a group."""
    before, now = group.kinds, seen.kinds
    gone = [name for name, kind in before.items() if kind and name not in now]
    other = [name for name, kind in before.items() if not alike(kind, now.get(name))]
    added = [name for name, kind in now.items() if kind and not before.get(name)]
    changes = (
        (gone, "is gone"),
        (other, "has values of another type"),
        (added, "had no values before"),
    )
    parts = [f"{', '.join(map(repr, names))} {what}" for names, what in changes if names]
    return "; ".join(parts) or "the rows have other values"
