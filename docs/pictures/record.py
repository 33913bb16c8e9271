"""Record `vigilbase up` in a pseudo-terminal and draw its screen: `python -m docs.pictures.record` writes up.svg.

It runs in an empty folder with the embedded Postgres and four services, one of which is stopped meanwhile.
"""

import re
import tempfile
from io import StringIO
from itertools import groupby
from pathlib import Path

import pyte
from rich.console import Console
from rich.text import Text

from tests.support.redis import run_redis
from tests.support.server import free_port, home_folder
from tests.support.terminal import CTRL_C, Terminal, terminal
from tests.support.website import Website

COLUMNS, LINES = 112, 22
PICTURE = Path(__file__).with_name("up.svg")
SERVICES = """\
defaults: {{interval: 500ms, timeout: 10s, failure_threshold: 3, success_threshold: 2}}
services:
  - {{name: website, http: 'http://127.0.0.1:{port}/'}}
  - {{name: cache, redis: '{redis}'}}
  - {{name: queue depth, python: 'myapp:queue_depth'}}
  - {{name: vigilbase database, postgres: self}}
"""
APPLICATION = """\
from pathlib import Path
from vigilbase import ProbeResult

def queue_depth():
    if depth := Path("depth").read_text():
        return ProbeResult("degraded", error_message=f"{depth} waiting")
"""


def main() -> None:
    """Record the screen and write the picture."""
    website = Website(free_port())
    website.start()
    with tempfile.TemporaryDirectory() as folder, run_redis() as redis, home_folder() as home:
        work = Path(folder)
        (work / "vigilbase.yaml").write_text(SERVICES.format(port=website.port, redis=redis.url))
        (work / "myapp.py").write_text(APPLICATION)
        (work / "depth").write_text("")
        environ = {"VIGILBASE_HOME": str(home)}
        with terminal(["up"], cwd=work, environ=environ, columns=COLUMNS, lines=LINES) as shown:
            shown.wait_for(lambda text: "▂" * 12 in text)
            (work / "depth").write_text("4211")
            shown.wait_for(lambda text: "alert.opened" in text)
            website.stop()
            shown.wait_for(lambda text: re.search(r"website .*for 3s: conn", text))
            PICTURE.write_text(_draw(shown, str(home)))
            shown.type(CTRL_C)
            shown.exit_code()


def _draw(shown: Terminal, home: str) -> str:
    console = Console(record=True, width=COLUMNS, file=StringIO(), force_terminal=True)
    console.print(Text("$ vigilbase up", style="bold"))
    for row in range(LINES):
        line = _read_line(shown, row)
        if line.plain or row < LINES - 1:
            console.print(_replace_home(line, home), no_wrap=True, crop=True, overflow="crop")
    svg = console.export_svg(title="vigilbase up", unique_id="up")
    svg = re.sub(r"\s*@font-face \{.*?\}", "", svg, flags=re.DOTALL)  # the viewer's own font is good enough
    return re.sub(r"\s*<!-- .*? -->", "", svg)


def _replace_home(line: Text, home: str) -> Text:
    """The line with the data folder of an ordinary user instead of the temporary one."""
    if home not in line.plain:
        return line
    return Text(line.plain.replace(home, "~/.local/share/vigilbase"), style="default")


def _read_line(shown: Terminal, row: int) -> Text:
    """A line of the screen with its colours."""
    cells = [shown.screen.buffer[row][column] for column in range(COLUMNS)]
    runs = [(style, "".join(cell.data for cell in same)) for style, same in groupby(cells, _find_style)]
    line = Text.assemble(*((text, style) for style, text in runs))
    line.rstrip()
    return line


def _find_style(cell: pyte.screens.Char) -> str:
    colour = {"default": "", "brown": "yellow"}.get(cell.fg, cell.fg)
    return f"{'bold ' if cell.bold else ''}{colour}".strip() or "default"


if __name__ == "__main__":
    main()
