"""The `task-queue` command: submit tasks, look at them, and look after the queue, from a shell.

Exit codes: 0 it worked; 1 the task did not succeed, is not over in time, or something is not
healthy; 2 wrong usage, or the queue refused; 3 no queue answers; 130 ended by Ctrl-C or by a no. An
error is one line on stderr. The commands themselves are in the files beside this one.
"""

from typing import Any, NoReturn

import click

from task_queue import __version__
from task_queue.cli import doctor, operations, tasks
from task_queue.cli.session import connection_options
from task_queue.errors import QueueUnreachable, TaskDidNotSucceed, TaskQueueError

EXIT_DID_NOT_SUCCEED = 1
EXIT_REFUSED = 2
EXIT_UNREACHABLE = 3
EXIT_INTERRUPTED = 130


class _Commands(click.Group):
    """A group in which every error becomes one line and an exit code, in one place."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (TaskDidNotSucceed, TimeoutError) as error:
            _exit(error, EXIT_DID_NOT_SUCCEED)
        except QueueUnreachable as error:
            _exit(error, EXIT_UNREACHABLE)
        except TaskQueueError as error:
            _exit(error, EXIT_REFUSED)
        except click.Abort:  # a question was answered with no, or with Ctrl-C
            _exit("nothing was changed", EXIT_INTERRUPTED)
        except KeyboardInterrupt:
            _exit("interrupted; tasks that were submitted go on", EXIT_INTERRUPTED)


def _exit(message: object, code: int) -> NoReturn:
    line = " ".join(str(message).split())
    click.echo(f"task-queue: {line}", err=True)
    raise click.exceptions.Exit(code)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="task-queue")
@connection_options
def main() -> None:
    """Submit tasks to a task queue and look after it.

    The queue is found by --url or TASK_QUEUE_URL (http://127.0.0.1:8000 if neither is given), and
    let in by --api-key or TASK_QUEUE_API_KEY. --json prints JSON for other programs; like the other
    two it may stand before or after the command.

    \b
    Exit codes:
      0    it worked
      1    the task did not succeed or is not over in time; something is not healthy
      2    wrong usage, or the queue refused
      3    no queue answers
      130  ended by Ctrl-C, or by a no to a question
    """


for command in (*tasks.COMMANDS, *operations.COMMANDS, doctor.doctor):
    main.add_command(command)
