"""Adapters to tools of others, none of which is a dependency."""
