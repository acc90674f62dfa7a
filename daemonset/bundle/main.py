"""What the launcher starts: the driver, found without `site` and without a folder of its own name."""

import sys

# `find PLUGIN_DIR -name flex` must print one file: the driver. So the package lies in a folder called `driver`.
_package = type(sys)("flex")
_package.__path__ = [sys.path[1] + "/driver"]
sys.modules["flex"] = _package

from flex.cli import run  # noqa: E402

run()
