"""Adapters: from a row to unified fields where no declared mapping can say it."""
