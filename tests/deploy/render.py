"""Writes deploy/rendered, the chart's dashboard and the list of packages of the image that only
answers anew: `python -m tests.deploy.render`."""

import shutil

from tests.deploy import serve_packages
from tests.deploy.chart import CASES, CHART, DEPLOY, RENDERED, text_of, values_of


def main() -> None:
    shutil.copyfile(DEPLOY / "grafana/regraft.json", CHART / "dashboards/regraft.json")
    serve_packages.LIST.write_text(serve_packages.text())
    shutil.rmtree(RENDERED, ignore_errors=True)
    RENDERED.mkdir()
    for case in CASES:
        (RENDERED / f"{case}.yaml").write_text(text_of(values_of(case)))


if __name__ == "__main__":
    main()
