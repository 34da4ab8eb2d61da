"""The configuration tree: YAML that names things and computes nothing."""
