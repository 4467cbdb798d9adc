"""A table is uploaded, fitted in a process of its own, found again after a refresh, and its graph is shown."""

from __future__ import annotations

import numpy as np
from handling import drawn, go, keyed, no_error, settled

from sagvae_core.relation_runs import RelationRun

PATIENCE = 240  # seconds; the machine may be busy


def table() -> bytes:
    random = np.random.default_rng(0)
    first = random.standard_normal(60)
    rows = np.stack([first, first + 0.3 * random.standard_normal(60), random.standard_normal(60)], axis=1)
    return b"height,weight,luck\n" + b"\n".join(b"%.4f,%.4f,%.4f" % tuple(row) for row in rows)


def test_a_table_is_uploaded_and_its_relations_are_found_over_a_refresh(new_page, runs_folder):
    page = new_page("your_data")
    page.locator("[data-testid=stFileUploader] input[type=file]").first.set_input_files(
        {"name": "people.csv", "mimeType": "text/csv", "buffer": table()})
    page.get_by_test_id("stDataFrame").first.wait_for()
    settled(page)
    keyed(page, "fit_methods").get_by_text("Correlation", exact=True).click()
    settled(page)
    keyed(page, "fit_start").get_by_role("button").click()
    run = RelationRun(runs_folder / "people")
    try:
        keyed(page, "fit").wait_for()
        page.reload()
        drawn(page)
        assert keyed(page, "fit").get_by_role("combobox").input_value() == "people"
        for _ in range(5 * PATIENCE):
            if run.status.state not in ("queued", "running"):
                break
            page.wait_for_timeout(200)
        assert run.status.state == "finished", (run.folder / "log.txt").read_text()
        page.get_by_test_id("stPlotlyChart").first.wait_for()
        settled(page)
        assert run.graph("sagvae").selected[0, 1] and run.graph("correlation").frequency[0, 1] == 1
        assert page.get_by_text("weight").count()
        no_error(page)
        go(page, "Train")
        no_error(page)
    finally:
        run.request("stop")
