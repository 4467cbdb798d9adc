"""The load benchmark: it drives the served app as browsers do, sees what goes wrong, and says so."""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from streamlit.proto.Alert_pb2 import Alert
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.Slider_pb2 import Slider

from benchmarks.load_report import markdown, problems
from benchmarks.load_sessions import Awaited
from benchmarks.tabs import Tab

ROOT = Path(__file__).parents[2]


def test_sessions_move_sliders_without_errors(tmp_path):
    report = tmp_path / "load.json"
    answer = subprocess.run(
        [sys.executable, "benchmarks/load.py", "--sessions", "2", "--minutes", "0.1", "--warm-up", "1",
         "--warm-moves", "1", "--json", str(report)], cwd=ROOT, capture_output=True, text=True)
    assert report.is_file(), answer.stderr
    told = json.loads(report.read_text())
    assert told["errors"] == []
    assert told["sessions"] == 2 and told["trainings"] == 1
    assert told["moves"] + told["moves_in_warm_up"] >= 4
    assert told["memory"]["at_the_end"]["resident_mb"] > 50
    assert "| Robustness |" in answer.stdout
    assert answer.returncode == bool(problems(told))  # a few seconds may well not be enough for the caches


@pytest.fixture
def tab() -> Tab:
    """A tab whose page was drawn by a run of it all: a toggle in the frame, and two sliders in a fragment."""
    tab = Tab("http://localhost:1", "lab")
    tab.receive(session("first"))
    frame = delta([1, 0], script="frame")
    frame.delta.new_element.checkbox.id, frame.delta.new_element.checkbox.default = "toggle", True
    tab.receive(frame)
    for place, (name, kind) in enumerate({"many": Slider.SLIDER, "named": Slider.SELECT_SLIDER}.items()):
        drawn = delta([0, place], fragment="part")
        slider = drawn.delta.new_element.slider
        slider.id, slider.type, slider.min, slider.max, slider.step = name, kind, 0, 2, 1
        slider.query_param_key = name
        slider.default.append(1)
        slider.options.extend(["a", "b"] if name == "named" else [])
        tab.receive(drawn)
    tab.receive(ForwardMsg(script_finished=ForwardMsg.FINISHED_SUCCESSFULLY))
    return tab


def session(run: str, *fragments: str) -> ForwardMsg:
    message = ForwardMsg()
    message.metadata.run.script_run_id = run
    message.metadata.run.fragment_ids.extend(fragments)
    message.new_session.page_script_hash, message.new_session.main_script_hash = "page", "frame"
    return message


def delta(path: list[int], fragment: str = "", script: str = "page") -> ForwardMsg:
    message = ForwardMsg()
    message.metadata.delta_path.extend(path)
    message.metadata.active_script_hash = script
    message.delta.fragment_id = fragment
    return message


def said(message) -> dict[str, object]:
    """The widgets of a request, by identifier."""
    states = {}
    for state in message.rerun_script.widget_states.widgets:
        value = getattr(state, state.WhichOneof("value"))
        states[state.id] = list(value.data) if hasattr(value, "data") else value
    return states


def test_a_moved_slider_travels_with_its_fragment_and_all_other_widgets(tab):
    many, named = tab.controls()
    request = tab.move(many, random.Random(0))
    assert request.rerun_script.fragment_id == "part" and request.rerun_script.page_script_hash == "page"
    assert said(request)["many"] in ([0.0], [2.0])
    assert said(request) == {"toggle": True, "many": said(request)["many"], "named": ["b"]}
    assert request.rerun_script.query_string == f"many={said(request)['many'][0]:g}"
    assert said(tab.move(named, random.Random(0)))["named"] == ["a"]


def test_widgets_that_a_run_no_longer_draws_are_gone(tab):
    tab.receive(session("second", "part"))
    redrawn = delta([0, 0], fragment="part")
    redrawn.delta.new_element.slider.id = "many"
    tab.receive(redrawn)
    tab.receive(ForwardMsg(script_finished=ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY))
    assert [control.widget for control in tab.controls()] == ["many"]
    assert set(said(tab.request())) == {"toggle", "many"}  # the toggle does not belong to the fragment


def test_another_page_keeps_the_widgets_of_the_frame_alone(tab):
    navigation = ForwardMsg()
    page = navigation.navigation.app_pages.add()
    page.url_pathname, page.page_script_hash = "other", "hash"
    tab.receive(navigation)
    request = tab.switch("other")
    assert said(request) == {"toggle": True}
    assert (request.rerun_script.page_script_hash, request.rerun_script.fragment_id) == ("hash", "")


def test_controls_of_the_page_before_are_gone_when_the_next_one_begins(tab):
    """Streamlit may keep the end of that run to itself, when a timer's run follows at once."""
    navigation = ForwardMsg()
    page = navigation.navigation.app_pages.add()
    page.url_pathname, page.page_script_hash = "other", "hash"
    tab.receive(navigation)
    tab.switch("other")
    begins = session("second")
    begins.new_session.page_script_hash = "hash"
    tab.receive(begins)
    assert tab.controls() == []
    assert said(tab.request()) == {"toggle": True}


def test_what_a_person_would_see_go_wrong_is_an_error(tab):
    shown = delta([0, 2])
    shown.delta.new_element.alert.body, shown.delta.new_element.alert.format = "no such data", Alert.ERROR
    tab.receive(shown)
    hint = delta([0, 3])
    hint.delta.new_element.alert.body, hint.delta.new_element.alert.format = "train one first", Alert.INFO
    tab.receive(hint)
    thrown = delta([0, 4])
    thrown.delta.new_element.exception.type, thrown.delta.new_element.exception.message = "KeyError", "'x'"
    tab.receive(thrown)
    assert tab.errors == ["error shown: no such data", "exception: KeyError 'x'"]


def test_a_message_the_tab_has_is_not_sent_twice(tab):
    heavy = delta([0, 2], fragment="part")
    heavy.hash, heavy.metadata.cacheable = "abc", True
    heavy.delta.new_element.alert.body, heavy.delta.new_element.alert.format = "again", Alert.ERROR
    tab.receive(heavy)
    assert list(tab.request().rerun_script.cached_message_hashes) == ["abc"]
    reference = ForwardMsg(ref_hash="abc")
    reference.metadata.delta_path.extend([0, 2])
    tab.receive(reference)
    assert len(tab.errors) == 2


def test_pandas_is_whole_before_the_first_figure():
    """Plotly takes it half imported from another session's thread, and fails."""
    known = "import sys, dashboard.resources; print(hasattr(sys.modules.get('pandas'), 'Series'))"
    answer = subprocess.run([sys.executable, "-c", known], cwd=ROOT, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "True"


@pytest.mark.parametrize(("events", "answered"), [
    (["page", "end"], True),
    (["page", "early", "page", "end"], True),  # st.rerun
    (["page", "early"], False),
    (["page", "early", "part"], True),  # both were in the queue to the browser
    (["page", "part"], True),  # the end was never sent
    (["part", "end"], False),  # the timer's, asked for before
])
def test_an_answer_is_known_from_the_runs_that_follow(events, answered):
    async def follow() -> bool:
        awaited = Awaited(fragment="")
        for event in events:
            if event in ("page", "part"):
                awaited.starts(["part"] if event == "part" else [])
            else:
                awaited.ends(ForwardMsg.FINISHED_SUCCESSFULLY if event == "end" else
                             ForwardMsg.FINISHED_EARLY_FOR_RERUN)
        return awaited.finished.done()

    with ThreadPoolExecutor(1) as apart:  # after a browser test, this thread has a loop that runs: Playwright's
        assert apart.submit(asyncio.run, follow()).result() == answered


@pytest.mark.parametrize(("change", "why"), [
    ({}, []),
    ({"errors": [{"page": "Train", "what": "exception", "times": 3}]}, ["3 errors."]),
    ({"moves": 0}, ["No move was answered."]),
    ({"memory": {"ratio": 1.11}}, ["The memory grew by 11.0%."]),
])
def test_errors_and_growth_are_problems(change, why):
    assert problems({"errors": [], "moves": 7, "memory": {"ratio": 1.10}} | change) == why


def test_the_stored_report_is_what_its_numbers_say():
    folder = ROOT / "benchmarks" / "results"
    told = json.loads((folder / "load.json").read_text())
    assert (folder / "load.md").read_text() == markdown(told) + "\n"
    assert problems(told) == []
