"""Training from the page: a real process, watched, refreshed, stopped, and its model found in the pickers."""

from __future__ import annotations

from handling import choose, drawn, fill, go, keyed, metric, no_error, settled

from sagvae_core.runs import Run


def start(page, name: str, epochs: int) -> None:
    """Fill in the form for the small digits with 100 rows, and start."""
    field = page.locator("[class*='st-key-name_digits']").locator("input")
    field.fill(name)
    field.press("Tab")
    fill(page, "epochs_digits", epochs)
    page.get_by_text("More settings").click()
    fill(page, "rows_digits", 100)
    settled(page)
    button = page.get_by_role("button", name="Start training")
    page.wait_for_function("button => !button.disabled", arg=button.element_handle())
    assert field.input_value() == name
    button.click()


def stop(page):
    """Our own button; Streamlit has a "Stop" too, while a script runs."""
    return keyed(page, "stop").get_by_role("button")


def go_on(page):
    return keyed(page, "resume").get_by_role("button")


def test_a_refresh_finds_the_running_job_and_stop_stops_it(new_page, runs_folder):
    page = new_page("train")
    start(page, "long", 2000)
    run = Run(runs_folder / "long")
    try:
        stop(page).wait_for()
        page.get_by_text("Epoch").first.wait_for()
        pid = run.status.pid
        page.reload()
        drawn(page)
        stop(page).wait_for()
        assert keyed(page, "watch").get_by_role("combobox").input_value() == "long"
        assert page.get_by_role("button", name="Start training").is_disabled()
        other = new_page("train", live=True)  # somebody else's browser sees the same job
        stop(other).wait_for()
        assert (run.status.state, run.status.pid) == ("running", pid)
        keyed(page, "curves").first.wait_for()  # for a moment the old drawing stands beside the new
        stop(page).click()
        page.wait_for_function("() => document.querySelector('.st-key-resume button')?.disabled === false")
        assert run.status.state == "stopped"
        epochs = len(run.records)
        go_on(page).click()
        stop(page).wait_for()
        assert run.status.pid != pid
        keyed(page, "curves").first.wait_for()  # for a moment the old drawing stands beside the new
        stop(page).click()
        page.wait_for_function("() => document.querySelector('.st-key-resume button')?.disabled === false")
        assert len(run.records) >= epochs
        no_error(page)
    finally:
        run.request_stop()


def test_a_tiny_model_is_trained_and_found_in_the_picker(new_page, runs_folder):
    page = new_page("train")
    start(page, "tiny", 2)
    metric(page, "PSNR").wait_for()  # only a finished run has one
    settled(page)
    run = Run(runs_folder / "tiny")
    assert (run.status.state, run.status.error) == ("finished", None)
    assert run.status.epoch == len(run.records) <= 2 + len(run.config.train.stages)
    assert keyed(page, "curves").is_visible()
    assert page.locator(".sv-img").count() >= 3 * 8
    no_error(page)
    go(page, "Relations")
    label = "SAG-VAE on Small digits · tiny"
    choose(page, "run", label)
    page.wait_for_url("**/*tiny*")
    settled(page)
    keyed(page, "picker").wait_for()
    assert keyed(page, "run").get_by_role("combobox").input_value() == label
    no_error(page)
