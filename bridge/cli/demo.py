import click


@click.command()
def demo() -> None:
    """x"""


@click.command()
def sandbox() -> None:
    """x"""
