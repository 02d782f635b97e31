import os
import shutil

from hamster_process import ROOT

BUILT = os.path.join(ROOT, "build", "js")


def test_js_sdk(run):
    # Modules resolve from where the script lies: beside what was installed.
    script = os.path.join(BUILT, "sdk.mjs")
    shutil.copy(os.path.join(ROOT, "tests", "compat", "js", "sdk.mjs"), script)
    assert run("node", script, cwd=BUILT).strip().endswith("ok")
