"""The README's Python runs as it stands, on every transport."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.conftest import Backend

README = Path(__file__).parents[2] / "README.md"


async def test_the_example_in_python_runs(backend: Backend, tmp_path: Path) -> None:
    [program] = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    backend.execute(
        "INSERT INTO alert_events (service_name, alert_type, status) VALUES ('x', 'service_down', 'active')"
    )
    # It leaves the closing of its connections to the end of the process, as a first try does.
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=os.environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("queue depth degraded 20")
    assert "AlertEvent(" in done.stdout
    assert done.stderr == ""
