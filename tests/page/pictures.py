#!/usr/bin/env python3
"""Takes the pictures of the status page in docs/: after ten minutes of calls, in which a provider has had troubles."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "system"))

from playwright.sync_api import sync_playwright

from conftest import CHROMIUM, FLAGS
from harness import REPOSITORY
from stage import Stage
from stubs import compiled

SIZE = {"width": 1120, "height": 900}
SECONDS = float(os.environ.get("SECONDS", "620"))
RATE = 12.0


def main() -> None:
    if not shutil.which("pngquant"):
        sys.exit("pngquant is needed (Debian: pngquant)")
    with tempfile.TemporaryDirectory() as place, tempfile.TemporaryDirectory() as contract:
        stage = Stage(Path(place), compiled(Path(contract)))
        try:
            stage.load(RATE)
            time.sleep(SECONDS * 0.55)
            stage.trouble()
            time.sleep(SECONDS * 0.2)
            stage.no_more_trouble()
            time.sleep(SECONDS * 0.25)
            stage.spoil_the_policy()
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
                for scheme in ("light", "dark"):
                    tab = browser.new_context(color_scheme=scheme, viewport=SIZE).new_page()
                    tab.goto(stage.url)
                    picture = REPOSITORY / "docs" / f"status-{scheme}.png"
                    # Down to the end of the providers: what is looked at first.
                    box = tab.locator(".accounts").bounding_box()
                    assert box is not None
                    shown = {"x": 0, "y": 0, "width": SIZE["width"], "height": box["y"] + box["height"] + 16}
                    tab.screenshot(path=picture, full_page=True, clip=shown)
                    subprocess.run(["pngquant", "--force", "--strip", "--output", picture, "128", picture], check=True)
                browser.close()
        finally:
            stage.close()


if __name__ == "__main__":
    main()
