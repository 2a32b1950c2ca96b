"""The page in a browser: nothing is fetched, and a phone shows it without sideways scrolling."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from cockpit.reports.figures import night_report
from cockpit.reports.writing import write
from tests.reports import labs

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)
QUIET = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-first-run", "--disable-extensions",
    "--disable-default-apps", "--allow-file-access-from-files",
)  # fmt: skip
FRAME = """<!doctype html><body><iframe id=f src="report.html" style="width:360px;height:800px"
></iframe><pre id=o></pre><script>onload = () => {
const own = document.getElementById("f").contentDocument, root = own.documentElement;
const shown = [...own.querySelectorAll(".plot")].filter(e => e.getBoundingClientRect().width);
document.getElementById("o").textContent = JSON.stringify({
  scrolls: root.scrollWidth, shown: shown.map(e => e.getAttribute("class")),
  smallest: Math.min(...[...own.querySelectorAll("td,dd,p,.plot.narrow text")].map(
    e => parseFloat(getComputedStyle(e).fontSize) * (e.closest("svg") ? 328 / 266 : 1))),
});};</script></body>"""


@pytest.mark.slow
@pytest.mark.skipif(not CHROMIUM, reason="there is no chromium here")
def test_a_phone_shows_the_page_and_nothing_is_asked_of_anybody(tmp_path: Path) -> None:
    lab = labs.make(tmp_path / "lab", title=labs.HOSTILE)
    write(lab, night_report(lab), tmp_path / "report.html")
    (tmp_path / "frame.html").write_text(FRAME)
    log = tmp_path / "net.json"
    done = subprocess.run(
        [
            CHROMIUM, *QUIET, f"--user-data-dir={tmp_path / 'profile'}", f"--log-net-log={log}",
            "--virtual-time-budget=3000", "--dump-dom", (tmp_path / "frame.html").as_uri(),
        ],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    found = re.search(r'<pre id="o">(.*?)</pre>', done.stdout)
    assert found, done.stderr
    seen = json.loads(found[1])
    assert seen["scrolls"] <= 360
    assert seen["shown"] == ["plot narrow"]
    assert seen["smallest"] >= 9
    # Whatever the page would load, however it was told to: the browser's own log has it.
    asked = set(re.findall(r'"url":"(\w+:[^"]*)"', log.read_text("utf-8", "replace")))
    assert not [
        url for url in asked if url.startswith(("http:", "https:", "ws")) and "google" not in url
    ]
