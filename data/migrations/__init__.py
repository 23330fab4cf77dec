"""The versions of the database's schema, one small file each; `data.schema` applies them."""
