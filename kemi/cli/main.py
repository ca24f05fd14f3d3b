"""The command `kemi`."""

from __future__ import annotations

from importlib import import_module

import click

from kemi.cli.paths import BOOT_FILE, product_file

# Where each command is, and what the overview says; it is imported when called, so that `kemi user` needs no
# numpy and `kemi boot-path` nothing at all.
COMMANDS = {
    "new": ("kemi.cli.new:new", "Make a folder with a first rule, settings and a test."),
    "run": ("kemi.cli.run:run", "Run Kamailio and the media relay on this machine."),
    "user": ("kemi.cli.user:user", "Add, list and remove those who may register and call."),
    "db": ("kemi.cli.db:db", "Create and check the tables that Kamailio needs."),
    "check": ("kemi.cli.check:check", "Find mistakes in routes, settings and kamailio.cfg."),
    "reload": ("kemi.cli.reload:reload", "Load the routes anew without a restart, in every process."),
    "plan": ("kemi.cli.plan:plan", "Show what is done with a request, as one function."),
    "status": ("kemi.cli.status:status", "Show what runs, who is registered, what is wrong."),
    "trace": ("kemi.cli.trace:trace", "Show what the rules do to the next requests, or to one call."),
    "relay": ("kemi.cli.relay:relay", "Run the media relay alone."),
    "settings": ("kemi.cli.settings:settings", "Print the reference of the settings."),
    "lab": ("kemi.lab.demo:lab", "Real calls between phones behind real NATs, on this machine."),
    "stubs": ("kemi.cli.stubs:stubs", "Write type stubs for the KSR object."),
}


class LazyGroup(click.Group):
    """A group that imports a command only when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*COMMANDS, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return super().get_command(ctx, cmd_name)
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        try:
            command = getattr(import_module(module), name)
        except ImportError as error:
            extra = "[lab]" if cmd_name == "lab" else ""
            raise click.ClickException(f"kemi {cmd_name}: {error}; pip install 'kemi{extra}'") from error
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        own = [(name, self.commands[name].get_short_help_str()) for name in self.commands]
        with formatter.section("Commands"):
            formatter.write_dl([*((name, text) for name, (_, text) in COMMANDS.items()), *own])


@click.group(cls=LazyGroup)
@click.version_option(package_name="kemi")
def main() -> None:
    """Kamailio's stock configuration as Python routes."""


@main.command("boot-path")
def boot_path() -> None:
    """Print the file that app_python3 loads."""
    click.echo(str(BOOT_FILE))


@main.command("cfg-path")
def cfg_path() -> None:
    """Print the path of kamailio.cfg."""
    click.echo(str(product_file("kamailio.cfg")))
