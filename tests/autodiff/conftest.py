"""Makes the helpers beside this file (`calls`, `examples`, `pages`) importable from the folders below."""
