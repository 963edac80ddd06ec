"""How a loaded table takes the place of another in PostgreSQL without breaking what depends on it.

If nothing depends on the old table, the two are swapped: owner, grants and comments go to the new
one, and readers wait for the moment of the COMMIT alone. If views, indexes, foreign keys, triggers,
policies or publications do, the rows are exchanged within the table, which costs more; readers then
do not wait at all.
"""

from etl_assets.destinations.database.sql_transaction import column_list
from etl_assets.destinations.database.transaction import Transaction
from etl_assets.model.stored import TableName
from etl_assets.naming import quote

# Gives a row if something depends on the table ?::regclass.
_DEPENDENTS = """
SELECT 1 FROM pg_catalog.pg_class WHERE oid = ?::regclass
AND (relkind <> 'r' OR relrowsecurity OR relispartition OR relhassubclass OR reloftype <> 0)
UNION ALL
SELECT 1 FROM pg_catalog.pg_depend
WHERE refclassid = 'pg_class'::regclass AND refobjid = ?::regclass
AND classid IN ('pg_rewrite'::regclass, 'pg_policy'::regclass, 'pg_publication_rel'::regclass,
                'pg_proc'::regclass, 'pg_trigger'::regclass, 'pg_statistic_ext'::regclass)
UNION ALL
SELECT 1 FROM pg_catalog.pg_constraint WHERE ?::regclass IN (conrelid, confrelid)
UNION ALL
SELECT 1 FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
WHERE i.indrelid = ?::regclass AND c.relname NOT LIKE '\\_etl\\_assets\\_key\\_%'
UNION ALL
SELECT 1 FROM pg_catalog.pg_attrdef WHERE adrelid = ?::regclass
UNION ALL
SELECT 1 FROM pg_catalog.pg_inherits WHERE ?::regclass IN (inhrelid, inhparent)
LIMIT 1
"""
_OWNER = (
    "SELECT pg_catalog.pg_get_userbyid(relowner) FROM pg_catalog.pg_class "
    "WHERE oid = ?::regclass "
    "AND relowner <> (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = current_user)"
)
# A privilege, the column it is for ("" for the table), to whom, and whether it may be passed on.
_GRANTS = """
SELECT x.privilege_type, '',
       CASE x.grantee WHEN 0 THEN '' ELSE pg_catalog.pg_get_userbyid(x.grantee) END, x.is_grantable
FROM pg_catalog.pg_class c, pg_catalog.aclexplode(c.relacl) x
WHERE c.oid = ?::regclass AND x.grantee <> c.relowner
UNION ALL
SELECT x.privilege_type, a.attname,
       CASE x.grantee WHEN 0 THEN '' ELSE pg_catalog.pg_get_userbyid(x.grantee) END, x.is_grantable
FROM pg_catalog.pg_attribute a, pg_catalog.aclexplode(a.attacl) x
WHERE a.attrelid = ?::regclass AND a.attnum > 0 AND NOT a.attisdropped
"""
_STORAGE = (
    "SELECT split_part(o, '=', 1), substr(o, strpos(o, '=') + 1) "
    "FROM pg_catalog.pg_class, unnest(reloptions) o WHERE oid = ?::regclass AND relkind = 'r'"
)
_COMMENTS = (
    "SELECT coalesce(a.attname, ''), d.description FROM pg_catalog.pg_description d "
    "LEFT JOIN pg_catalog.pg_attribute a "
    "ON a.attrelid = d.objoid AND a.attnum = d.objsubid AND d.objsubid > 0 "
    "WHERE d.classoid = 'pg_class'::regclass AND d.objoid = ?::regclass"
)


def keep_storage(tx: Transaction, table: TableName, new: TableName) -> None:
    """Give a new table the storage options of the one whose place it will take."""
    options = [
        f"{quote(name)} = {quote(value, chr(39))}"
        for name, value in tx.execute(_STORAGE, (tx.quoted(table),))
    ]
    if options:
        tx.execute(f"ALTER TABLE {tx.quoted(new)} SET ({', '.join(options)})")


def put_in_place(tx: Transaction, table: TableName, loaded: TableName) -> bool:
    """Have the rows of a loaded table take the place of another table's.

    Returns whether the loaded table itself is there now, or only its rows.
    """
    name = tx.quoted(table)
    if tx.execute(_DEPENDENTS, (name,) * _DEPENDENTS.count("?::")):
        _exchange_rows(tx, table, loaded)
        return False
    _swap(tx, table, loaded)
    return True


def _swap(tx: Transaction, table: TableName, loaded: TableName) -> None:
    old, new = tx.quoted(table), tx.quoted(loaded)
    columns = tx.type_names(loaded)
    for privilege, column, grantee, may_grant in tx.execute(_GRANTS, (old, old)):
        if not column or column in columns:
            what = f"{privilege} ({quote(column)})" if column else privilege
            option = " WITH GRANT OPTION" if may_grant else ""
            to = quote(grantee) if grantee else "PUBLIC"
            tx.execute(f"GRANT {what} ON {new} TO {to}{option}")
    for column, comment in tx.execute(_COMMENTS, (old,)):
        if not column:
            tx.execute(f"COMMENT ON TABLE {new} IS {quote(comment, chr(39))}")
        elif column in columns:
            tx.execute(f"COMMENT ON COLUMN {new}.{quote(column)} IS {quote(comment, chr(39))}")
    for (owner,) in tx.execute(_OWNER, (old,)):
        tx.execute(f"ALTER TABLE {new} OWNER TO {quote(owner)}")
    tx.execute(f"DROP TABLE {old}")
    tx.execute(f"ALTER TABLE {new} RENAME TO {quote(table.name)}")


def _exchange_rows(tx: Transaction, table: TableName, loaded: TableName) -> None:
    old, new = tx.quoted(table), tx.quoted(loaded)
    tx.execute(f"DELETE FROM {old}")
    before, after = tx.type_names(table), tx.type_names(loaded)
    for name, type_ in before.items():
        if after.get(name) != type_:
            tx.execute(f"ALTER TABLE {old} DROP COLUMN {quote(name)}")
    for name, type_ in after.items():
        if before.get(name) != type_:
            tx.execute(f"ALTER TABLE {old} ADD COLUMN {quote(name)} {type_}")
    names = column_list(list(after))
    tx.execute(f"INSERT INTO {old} ({names}) SELECT {names} FROM {new}")
    tx.drop_table(loaded)
