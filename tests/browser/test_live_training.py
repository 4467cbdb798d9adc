"""Training from the page: a real process, watched, refreshed, paused, stopped, and its model found in the pickers."""

from __future__ import annotations

from handling import choose, drawn, fill, go, keyed, metric, no_error, settled

from benchmarks.serving import serving
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


def pressed(page, key: str):
    """A button of ours by its key; Streamlit has a "Stop" too, while a script runs."""
    return keyed(page, key).get_by_role("button")


def trains(page) -> None:
    """Wait for its first step: who is asked before leaves the queue."""
    page.get_by_test_id("stProgress").filter(has_text="step").wait_for()


def ready_to_go_on(page) -> None:
    page.wait_for_function("() => document.querySelector('.st-key-resume button')?.disabled === false")


def works_anew(page, run: Run, pid: int) -> None:
    """Wait until another process trains: what is drawn may still be of the one before."""
    for _ in range(1200):
        status = run.status
        if status.state == "running" and status.pid != pid:
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"nobody goes on with it: {run.status}")


def test_a_refresh_finds_the_running_job_and_it_is_paused_and_stopped(new_page, runs_folder):
    page = new_page("train")
    start(page, "long", 2000)
    run = Run(runs_folder / "long")
    try:
        pressed(page, "pause").wait_for()
        trains(page)
        pid = run.status.pid
        page.reload()
        drawn(page)
        pressed(page, "pause").wait_for()
        assert keyed(page, "watch").get_by_role("combobox").input_value() == "long"
        other = new_page("train", live=True)  # somebody else's browser sees the same job
        pressed(other, "pause").wait_for()
        assert (run.status.state, run.status.pid) == ("running", pid)
        keyed(page, "curves").first.wait_for()  # for a moment the old drawing stands beside the new
        pressed(page, "pause").click()
        ready_to_go_on(page)
        assert run.status.state == "paused"
        epochs, step = len(run.records), run.status.step
        pressed(page, "resume").click()
        works_anew(page, run, pid)
        pressed(page, "stop").wait_for()
        trains(page)
        pressed(page, "stop").click()
        metric(page, "PSNR").wait_for()  # the model as it is then
        assert run.status.state == "stopped" and run.has_model
        assert len(run.records) >= epochs and run.status.step > step
        no_error(page)
    finally:
        run.request("pause")


def test_a_server_that_starts_anew_finds_the_running_job(browser, tmp_path):
    runs_folder = tmp_path / "runs"
    run = Run(runs_folder / "long")

    def opened(address: str):
        page = browser.new_page()
        page.set_default_timeout(120_000)
        page.goto(f"{address}/train")
        drawn(page)
        return page

    try:
        with serving(tmp_path / "first.log", SAGVAE_RUNS=str(runs_folder)) as (address, _):
            page = opened(address)
            start(page, "long", 2000)
            pressed(page, "pause").wait_for()
            trains(page)
            pid, step = run.status.pid, run.status.step
            page.close()
        assert (run.status.state, run.status.pid) == ("running", pid)  # the server is gone, the training is not
        with serving(tmp_path / "second.log", SAGVAE_RUNS=str(runs_folder)) as (address, _):
            page = opened(address)
            pressed(page, "pause").wait_for()
            assert keyed(page, "watch").get_by_role("combobox").input_value() == "long"
            assert (run.status.state, run.status.pid) == ("running", pid)
            assert run.status.step > step
            pressed(page, "pause").click()
            ready_to_go_on(page)
            assert run.status.state == "paused"
            no_error(page)
            page.close()
    finally:
        run.request("pause")


def test_a_tiny_model_is_trained_and_found_in_the_picker(new_page, runs_folder):
    page = new_page("train")
    start(page, "tiny", 2)
    run = Run(runs_folder / "tiny")
    for _ in range(300):  # the run before may have numbers on the page, too
        if run.has_model:
            break
        page.wait_for_timeout(200)
    metric(page, "PSNR").wait_for()
    settled(page)
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
