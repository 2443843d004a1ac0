"""The configuration: YAML files and the environment in, one frozen dataclass out, or every
mistake at once.
"""
