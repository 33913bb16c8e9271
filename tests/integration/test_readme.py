"""The README's Python runs as written."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.conftest import Backend

README = Path(__file__).parents[2] / "README.md"


async def test_readme_python_example_runs_without_warnings(backend: Backend, tmp_path: Path) -> None:
    [program] = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    backend.execute(
        "INSERT INTO alert_events (service_name, alert_type, status) VALUES ('x', 'service_down', 'active')"
    )
    # The example doesn't close its connections, so the end of the process must.
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=os.environ, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("queue depth degraded 20")
    assert "AlertEvent(" in result.stdout
    assert result.stderr == ""
