"""Two ways to run a command: as a process, as users do, and within this one, which is quicker."""

import os
import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner

from ui.cli import cli

PROJECT = Path(__file__).resolve().parents[2]


def as_process(
    *arguments: str | Path, code: int = 0, given: bytes = b"", **environment: str
) -> tuple[str, str]:
    """Run a command in a process of its own.

    Parameters
    ----------
    code : int
        What its exit code must be.
    given : bytes
        Its standard input.
    **environment : str
        Variables besides those of this process.

    Returns
    -------
    out, err : str
        What it prints, and what it complains of.
    """
    ran = subprocess.run(
        [sys.executable, "-m", "ui", *map(str, arguments)],
        input=given,
        capture_output=True,
        check=False,
        cwd=PROJECT,
        env={**os.environ, **environment},
    )
    out, err = ran.stdout.decode(errors="replace"), ran.stderr.decode(errors="replace")
    assert ran.returncode == code, f"exit code {ran.returncode}\n{out}\n{err}"
    assert "Traceback" not in err
    return out, err


def within(
    *arguments: str | Path, code: int = 0, given: bytes = b"", **environment: str
) -> tuple[str, str]:
    """Run a command within this process; all is as in `as_process`.

    What only a process can show does not belong here: signals, encodings, what is imported.
    """
    words = list(map(str, arguments))
    ran = CliRunner().invoke(cli, words, input=given, env=environment, prog_name="echoic")
    if ran.exception is not None and not isinstance(ran.exception, SystemExit):
        raise ran.exception
    assert ran.exit_code == code, f"exit code {ran.exit_code}\n{ran.output}"
    return ran.stdout, ran.stderr
