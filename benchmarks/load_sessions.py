"""People at the app, each a websocket connection as a browser's tab has one: they open pages and move sliders."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from benchmarks.tabs import Tab

PAUSE = 1.0  # seconds from one move to the next, unless the answer takes longer
STAY = 30.0  # seconds on a page before the next one is opened
PATIENCE = 120.0  # seconds without an answer that count as none


@dataclass(frozen=True)
class Answer:
    """One request: when it was sent (seconds, ``time.monotonic``), how long its script ran, and on which page."""

    page: str
    opened: bool
    sent: float
    seconds: float


@dataclass
class Awaited:
    """The answer to a request for a run of ``fragment``, or of the whole page if it is empty."""

    fragment: str
    finished: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    started: bool = False

    def starts(self, fragments: Sequence[str]) -> None:
        """A run of these fragments begins, of the whole page if there are none."""
        if self.started and fragments:
            # Such a run waits for the one before. Streamlit may call that one's end an early one, if both are in the
            # queue to the browser, or keep it to itself (ForwardMsgQueue.clear, AppSession.request_rerun).
            self._finish()
        else:  # a run of the whole page that began later has seen the move too
            self.started |= not fragments or self.fragment in fragments

    def ends(self, status: int) -> None:
        """A run ends; they come one after another."""
        if self.started and status != ForwardMsg.FINISHED_EARLY_FOR_RERUN:
            self._finish()

    def _finish(self) -> None:
        if not self.finished.done():
            self.finished.set_result(None)


class Session:
    """One person who goes through ``pages`` for as long as :meth:`live` runs.

    Args:
        address: of the app.
        pages: paths in the order of the visit; after the last one comes the first.
        seed: of where the controls are moved to.
    """

    def __init__(self, address: str, pages: Sequence[str], seed: int) -> None:
        self.answers: list[Answer] = []
        self.errors: list[tuple[str, str]] = []  # page, what went wrong
        self.reruns = 0  # that fragments asked for by themselves
        self.alive = True
        self._tab = Tab(address, pages[0])
        self._pages, self._chance = pages, random.Random(seed)
        self._awaited: Awaited | None = None
        self._socket: ClientConnection
        self._timers: dict[str, asyncio.Task[None]] = {}

    @property
    def moves(self) -> int:
        """How many moves were answered."""
        return sum(not answer.opened for answer in self.answers)

    async def live(self, until: asyncio.Event) -> None:
        """Open pages and move what can be moved until told to stop, after the answer to the last move."""
        stream = self._tab.address.replace("http", "ws", 1) + "/_stcore/stream"
        try:
            # No limit on a message's size: a browser has none. Streamlit asks whether the connection lives.
            async with connect(stream, subprotocols=["streamlit"], origin=self._tab.address, max_size=None,
                               ping_interval=None) as self._socket:
                reading = asyncio.create_task(self._read())
                living = asyncio.create_task(self._live(until))
                await asyncio.wait((reading, living), return_when=asyncio.FIRST_COMPLETED)
                for task in (reading, living, *self._timers.values()):
                    task.cancel()
                for outcome in await asyncio.gather(reading, living, *self._timers.values(), return_exceptions=True):
                    if isinstance(outcome, Exception):
                        raise outcome
        except (ConnectionClosed, OSError) as error:
            self._wrong(f"the connection was lost: {error}")
        finally:
            self.alive = False

    async def _live(self, until: asyncio.Event) -> None:
        visit = 0
        await self._ask(self._tab.request(), opened=True)
        came = time.monotonic()
        while not until.is_set():
            started = time.monotonic()
            await self._move()
            while not until.is_set() and time.monotonic() < started + PAUSE:
                await asyncio.sleep(0.05)
            if not until.is_set() and time.monotonic() > came + STAY:
                visit, came = visit + 1, time.monotonic()
                await self._ask(self._tab.switch(self._pages[visit % len(self._pages)]), opened=True)

    async def _move(self) -> None:
        controls = self._tab.controls()
        if not controls:
            self._wrong("nothing to move on this page")
            return
        control = self._chance.choice(controls)
        await self._ask(self._tab.move(control, self._chance), control.fragment)

    async def _ask(self, message: BackMsg, fragment: str = "", opened: bool = False) -> None:
        self._awaited = Awaited(fragment)
        page, sent = self._tab.page, time.monotonic()
        await self._socket.send(message.SerializeToString())
        try:
            await asyncio.wait_for(self._awaited.finished, PATIENCE)
            self.answers.append(Answer(page, opened, sent, time.monotonic() - sent))
        except TimeoutError:
            self._wrong(f"no answer for {PATIENCE:g} s")

    async def _read(self) -> None:
        async for data in self._socket:
            message = ForwardMsg()
            message.ParseFromString(data)
            self._tab.receive(message)
            for error in self._tab.errors:
                self._wrong(error)
            self._tab.errors.clear()
            kind = message.WhichOneof("type")
            if kind == "new_session" and self._awaited:
                self._awaited.starts(message.metadata.run.fragment_ids)
            elif kind == "script_finished" and self._awaited:
                self._awaited.ends(message.script_finished)
            elif kind == "auto_rerun" and message.auto_rerun.fragment_id not in self._timers:
                fragment = message.auto_rerun.fragment_id
                self._timers[fragment] = asyncio.create_task(self._rerun(fragment))
        raise ConnectionClosed(None, None)  # a normal end, which the server should not come to

    async def _rerun(self, fragment: str) -> None:
        """What a browser does with ``st.fragment(run_every=...)``: ask every so often, until it is told to stop."""
        while interval := self._tab.timers.get(fragment):
            await asyncio.sleep(interval)
            if fragment in self._tab.timers:
                self.reruns += 1
                await self._socket.send(self._tab.request(fragment, timed=True).SerializeToString())
        del self._timers[fragment]

    def _wrong(self, what: str) -> None:
        self.errors.append((self._tab.page, what))
