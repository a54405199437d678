"""Writes deploy/rendered and the chart's dashboard anew: `python -m tests.deploy.render`."""

import shutil

from tests.deploy.chart import CASES, CHART, DEPLOY, RENDERED, text_of, values_of


def main() -> None:
    shutil.copyfile(DEPLOY / "grafana/regraft.json", CHART / "dashboards/regraft.json")
    shutil.rmtree(RENDERED, ignore_errors=True)
    RENDERED.mkdir()
    for case in CASES:
        (RENDERED / f"{case}.yaml").write_text(text_of(values_of(case)))


if __name__ == "__main__":
    main()
