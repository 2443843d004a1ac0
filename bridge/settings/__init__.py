"""The configuration: YAML files and the environment in, one frozen dataclass out, or every
complaint at once.
"""
