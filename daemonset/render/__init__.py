"""Turns a values file into the objects that install.sh applies: the same that the chart's templates make.

`charts/pure-k8s-plugin/values.yaml` has the defaults and values.schema.json the rules, for both ways of installing. The
manifests beside this package are what the defaults render to, and the form into which other values are put.
Needs Python 3.11, PyYAML and click, and a checkout: nothing of this runs in the image.
"""

from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
CHART = CHECKOUT / "charts/pure-k8s-plugin"
MANIFESTS = CHECKOUT / "daemonset"
