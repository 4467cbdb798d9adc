"""What a browser's tab knows of a Streamlit app, and what it says to the server; no network here.

The messages are Streamlit's own: ``ForwardMsg`` comes from the server, ``BackMsg`` goes to it. What a tab says when was
read from the frames that Chromium sent to the app, and from the frontend that came with Streamlit 1.67: all states of
the page's widgets with every request, an identifier where the control belongs to a fragment, the hashes of messages
that need not be sent again.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode

from streamlit.proto.Alert_pb2 import Alert
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.Delta_pb2 import Delta
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.NumberInput_pb2 import NumberInput
from streamlit.proto.Slider_pb2 import Slider
from streamlit.proto.WidgetStates_pb2 import WidgetState

KEPT_RUNS = 2  # a message is forgotten when so many runs have not used it (Streamlit's global.maxCachedMessageAge)


@dataclass(frozen=True, eq=False)
class Placed:
    """An element, perhaps a widget: its kind, its message, and the fragment, script and run that drew it."""

    kind: str
    content: object
    fragment: str
    script: str
    run: str

    @property
    def widget(self) -> str:
        """The widget's identifier; empty for what is none."""
        return getattr(self.content, "id", "")


class Tab:
    """One tab: feed it every message in order; ``errors`` holds what a person would have seen go wrong.

    Args:
        address: of the app, as in the browser's address bar.
        page: path of the page that is opened first; empty for the app's first one.
    """

    def __init__(self, address: str, page: str = "") -> None:
        self.address, self.page = address, page
        self.errors: list[str] = []
        self.timers: dict[str, float] = {}  # fragment -> seconds between the reruns that it asked for
        self._placed: dict[tuple[int, ...], Placed] = {}
        self._states: dict[str, WidgetState] = {}
        self._query: dict[str, str] = {}
        self._pages: dict[str, str] = {}  # path -> hash of its script
        self._script = self._main_script = ""  # hashes: of the page that is shown, and of the frame around it
        self._run, self._fragments = "", ()
        self._kept: dict[str, tuple[Delta, int]] = {}  # hash -> what need not be sent again, and the run it was used in
        self._runs = 0

    # ------------------------------------------------------------------------------------------- from the server

    def receive(self, message: ForwardMsg) -> None:
        """Take in one message."""
        kind = message.WhichOneof("type")
        if kind == "new_session":
            self._starts(message)
        elif kind == "delta":
            if message.metadata.cacheable:
                self._kept[message.hash] = message.delta, self._runs
            self._draw(message, message.delta)
        elif kind == "ref_hash":
            delta = self._kept[message.ref_hash][0]
            self._kept[message.ref_hash] = delta, self._runs
            self._draw(message, delta)
        elif kind == "script_finished":
            self._ends(message.script_finished)
        elif kind == "navigation":
            self._pages = {"" if page.is_default else page.url_pathname: page.page_script_hash
                           for page in message.navigation.app_pages}
        elif kind == "page_info_changed":
            self._query = dict(parse_qsl(message.page_info_changed.query_string))
        elif kind == "auto_rerun":
            self.timers[message.auto_rerun.fragment_id] = message.auto_rerun.interval
        elif kind == "stop_auto_rerun":
            for fragment in message.stop_auto_rerun.fragment_ids:
                self.timers.pop(fragment, None)
        elif kind == "page_not_found":
            self.errors.append(f"no such page: {self.page!r}")
        elif kind == "session_event" and message.session_event.HasField("script_compilation_exception"):
            self.errors.append(f"the script does not run: {message.session_event.script_compilation_exception.message}")

    def _starts(self, message: ForwardMsg) -> None:
        self._run, self._fragments = message.metadata.run.script_run_id, tuple(message.metadata.run.fragment_ids)
        if not self._fragments:
            self._script, self._main_script = message.new_session.page_script_hash, message.new_session.main_script_hash
            self.timers.clear()
            # What another page drew is gone at once, as in the browser: the end of this run may never be told.
            self._placed = {path: it for path, it in self._placed.items()
                            if it.script in (self._script, self._main_script)}

    def _draw(self, message: ForwardMsg, delta: Delta) -> None:
        path = tuple(message.metadata.delta_path)
        what = delta.WhichOneof("type")
        if what == "add_block":
            self._placed.pop(path, None)
        elif what == "new_element":
            kind = delta.new_element.WhichOneof("type")
            content = getattr(delta.new_element, kind)
            if path not in self._placed:  # perhaps in the place of a container
                self._placed = {other: it for other, it in self._placed.items() if other[:len(path)] != path}
            placed = Placed(kind, content, delta.fragment_id, message.metadata.active_script_hash, self._run)
            self._placed[path] = placed
            if kind == "exception":
                self.errors.append(f"exception: {content.type} {content.message}")
            elif kind == "alert" and content.format == Alert.ERROR:
                self.errors.append(f"error shown: {content.body}")
            if placed.widget and (placed.widget not in self._states or getattr(content, "set_value", False)):
                state = first_state(placed)
                if state is not None:
                    self._states[placed.widget] = state

    def _ends(self, status: int) -> None:
        if status == ForwardMsg.FINISHED_EARLY_FOR_RERUN:
            return
        self._runs += 1
        # What this run could have drawn and did not is gone, and the states of such widgets with it.
        self._placed = {path: it for path, it in self._placed.items()
                        if it.run == self._run or (self._fragments and it.fragment not in self._fragments)}
        shown = {it.widget for it in self._placed.values()}
        self._states = {widget: state for widget, state in self._states.items() if widget in shown}
        self._kept = {name: (delta, used) for name, (delta, used) in self._kept.items()
                      if self._runs - used <= KEPT_RUNS or (self._fragments and delta.fragment_id not in
                                                            self._fragments)}

    # --------------------------------------------------------------------------------------------- to the server

    def request(self, fragment: str = "", timed: bool = False) -> BackMsg:
        """Run the page, or one fragment of it, with the widgets as they are; ``timed`` if nobody touched one."""
        message = BackMsg()
        said = message.rerun_script
        said.query_string = urlencode(self._query)
        said.widget_states.widgets.extend(self._states.values())
        said.page_script_hash, said.page_name = self._script, "" if self._script else self.page
        said.fragment_id, said.is_auto_rerun = fragment, timed
        said.cached_message_hashes.extend(self._kept)
        context = said.context_info
        context.timezone, context.timezone_offset, context.locale = "UTC", 0, "en-US"
        context.url, context.is_embedded, context.color_scheme = f"{self.address}/{self.page}", False, "light"
        return message

    def switch(self, page: str) -> BackMsg:
        """Open another page of the app in this tab."""
        self.page, self._script = page, self._pages[page]
        self.timers.clear()
        # Widgets of the frame around the pages, as in a sidebar they share, stay what they are.
        kept = {it.widget for it in self._placed.values() if it.script == self._main_script}
        self._states = {widget: state for widget, state in self._states.items() if widget in kept}
        return self.request()

    def controls(self) -> list[Placed]:
        """The sliders that can be moved; on a page without one, the pickers."""
        usable = [it for it in self._placed.values() if it.widget and not getattr(it.content, "disabled", False)]
        return ([it for it in usable if it.kind == "slider"]
                or [it for it in usable if it.kind == "selectbox" and len(it.content.options) > 1])

    def move(self, control: Placed, chance: random.Random) -> BackMsg:
        """Put one of :meth:`controls` somewhere else."""
        state, content = self._states[control.widget], control.content
        if control.kind == "selectbox":
            value = chance.choice([option for option in content.options if option != state.string_value])
            state.string_value = value
        elif content.type == Slider.SELECT_SLIDER:
            value = chance.choice([option for option in content.options if option != state.string_array_value.data[0]])
            state.string_array_value.data[:] = [value]
        else:
            steps, now = round((content.max - content.min) / content.step), state.double_array_value.data[0]
            places = [content.min + step * content.step for step in range(steps + 1)]
            value = chance.choice([place for place in places if place != now])
            state.double_array_value.data[:] = [value]
            value = f"{value:g}"
        if content.HasField("query_param_key"):
            self._query[content.query_param_key] = value
        return self.request(control.fragment)


def first_state(placed: Placed) -> WidgetState | None:
    """What a widget says before it is touched; None for one that says nothing, as a button."""
    content, state = placed.content, WidgetState(id=placed.widget)
    given = getattr(content, "set_value", False)
    if placed.kind == "slider":
        if content.type == Slider.SELECT_SLIDER:
            values = content.raw_value if given else [content.options[int(place)] for place in content.default]
            state.string_array_value.data.extend(values)
        else:
            state.double_array_value.data.extend(content.value if given else content.default)
    elif placed.kind == "button_group":
        values = content.raw_values if given else [content.options[place].content for place in content.default]
        state.string_array_value.data.extend(values)
    elif placed.kind == "selectbox":
        chosen = content.options[content.default] if content.HasField("default") else ""
        state.string_value = content.raw_value if given else chosen
    elif placed.kind == "checkbox":
        state.bool_value = content.value if given else content.default
    elif placed.kind in ("text_input", "text_area"):
        state.string_value = content.value if given else content.default
    elif placed.kind == "number_input":
        value = content.value if given else content.default
        if content.data_type == NumberInput.INT:
            state.int_value = int(value)
        else:
            state.double_value = value
    else:
        return None
    return state
