"""egg completion: what a shell needs to complete our words."""

import click

from cli import render

SHELLS = ("bash", "zsh", "fish")
PROGRAM = "egg"


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
def completion(*, shell: str) -> None:
    """Print the script that has a shell complete what you type.

    Commands and options, and the names of pipelines, roles, runs and decisions.
    Names are asked of the server, for less than a second; where it is away nothing is completed or said.
    For bash: eval "$(egg completion bash)" in ~/.bashrc. For zsh, behind compinit in ~/.zshrc:
    eval "$(egg completion zsh)". For fish: egg completion fish > ~/.config/fish/completions/egg.fish

    Example:  eval "$(egg completion bash)"
    """
    from click.shell_completion import get_completion_class

    from cli.main import egg

    kind = get_completion_class(shell)
    if kind is None:
        raise TypeError(f"click does not know {shell}")
    render.write_script(kind(egg, {}, PROGRAM, f"_{PROGRAM.upper()}_COMPLETE").source())
