"""The process as the manager sees it: the handshake, the gRPC calls, and the end.

docs/protocol.md, "Handshake", "Control plane", "Life of a process", "When the manager goes".
"""

import asyncio
import faulthandler
import json
import logging
import os
import signal
import sys
from dataclasses import dataclass
from typing import Callable

import grpc

from . import log
from . import plugin_pb2 as pb
from .frames import BadFrame, Type
from .link import Link
from .service import Service
from .share import Share

COOKIE = "5b2d8a4e-antano-service-plugin"
MAX_CALL = 16 * 1024 * 1024
WRONG_CONFIGURATION = 78
LIFELINE_LATE = 0.2  # seconds by which lifeline may end after the link
LAST_DRAIN = 5.0  # seconds that a process has which is told to end by a signal

PARAMS = set("""id antano_server_id service_type_id service_type name host port endpoint message_format_in_id message_format_out_id
    framing_in framing_out processes mode socket_type backlog forward_to limits settings""".split())


@dataclass
class Plugin:
    """What a plugin is. `configure` gets settings and returns the handler; ValueError means that they are wrong."""

    name: str
    version: str
    service_type: str
    settings_schema: dict
    configure: Callable


class WrongConfiguration(Exception):
    pass


def run(plugin):
    """Runs a plugin from main; never returns."""
    if os.environ.get("ANTANO_PLUGIN_COOKIE") != COOKIE:
        sys.exit(f"{plugin.name} is a plugin of antano: put it into a plugin directory and let `antano run` start it")
    offered = os.environ.get("PLUGIN_PROTOCOL_VERSIONS", "")
    if "1" not in offered.split(","):
        print(f"{plugin.name} speaks version 1 of the protocol, antano {offered or 'none'}; use releases that fit", file=sys.stderr)
        sys.exit(WRONG_CONFIGURATION)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    faulthandler.enable()  # prints the stack on SIGABRT
    log.setup()
    asyncio.run(Process(plugin).main())


def inherited():
    names = [n for n in os.environ.get("LISTEN_FDNAMES", "").split(":") if n]
    found = dict(zip(names, range(3, 3 + int(os.environ.get("LISTEN_FDS", "0")))))
    for fd in found.values():
        os.set_inheritable(fd, False)
    return found


class Process:
    """A process from the handshake to its end."""

    def __init__(self, plugin):
        self.plugin, self.inherited = plugin, inherited()
        self.link = self.service = self.draining = None
        self.serving = self.drained = self.manager_gone = self.rejoined = False
        self.window = 0

    async def main(self):
        self.loop = asyncio.get_running_loop()
        self.loop.set_exception_handler(self._failed)
        self.exit = self.loop.create_future()
        self.tasks = set()
        self.loop.add_signal_handler(signal.SIGTERM, lambda: self._task(self._terminate()))
        if "lifeline" in self.inherited:
            self.loop.add_reader(self.inherited["lifeline"], self._lifeline_ended)
        path = os.path.join(os.environ["PLUGIN_UNIX_SOCKET_DIR"], f"python{os.getpid()}")
        self.server = grpc.aio.server(options=[("grpc.max_receive_message_length", MAX_CALL), ("grpc.max_send_message_length", MAX_CALL)])
        self.server.add_generic_rpc_handlers(self._calls())
        self.server.add_insecure_port(f"unix:{path}")
        await self.server.start()
        os.write(1, f"1|1|unix|{path}|grpc||false\n".encode())
        code = await self.exit
        if self.service:
            self.service.stop()
        if self.link:
            self.link.close()
        await self.server.stop(1 if code in (0, WRONG_CONFIGURATION) else 0)  # what is being answered
        os._exit(code)

    def _task(self, coroutine):
        task = self.loop.create_task(coroutine)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    def _end(self, code, why=""):
        if not self.exit.done():
            if why:
                logging.error("%s", why)
            self.exit.set_result(code)

    def _failed(self, loop, context):
        """An error of ours in a callback leaves us in no known state: the manager starts another process."""
        logging.error("%s", context["message"], exc_info=context.get("exception"))
        if "handle" in context:
            self._end(1)

    # The calls.

    def _calls(self):
        def unary(call, request=None):
            return grpc.unary_unary_rpc_method_handler(call, request and request.FromString, lambda r: r if isinstance(r, bytes) else r.SerializeToString())

        clients = grpc.unary_stream_rpc_method_handler(self.clients, pb.ClientsRequest.FromString, lambda r: r.SerializeToString())
        return (
            grpc.method_handlers_generic_handler("antano.plugin.v1.Plugin", {
                "Describe": unary(self.describe, pb.DescribeRequest), "Start": unary(self.start, pb.StartRequest),
                "Drain": unary(self.drain, pb.DrainRequest), "Stop": unary(self.stop, pb.StopRequest),
                "Clients": clients, "Kick": unary(self.kick, pb.KickRequest),
            }),
            # Of these two no messages are generated: they are empty, but for the status SERVING.
            grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Check": unary(self.check)}),
            grpc.method_handlers_generic_handler("plugin.GRPCController", {"Shutdown": unary(self.shutdown)}),
        )

    async def check(self, request, context):
        return b"\x08\x01"

    async def shutdown(self, request, context):
        self._end(0)
        return b""

    async def describe(self, request, context):
        p = self.plugin
        return pb.DescribeResponse(
            name=p.name, version=p.version, service_type=p.service_type, can_send=True, handler=True, transport="tcp",
            formats_in=[1], formats_out=[1], settings_schema=json.dumps(p.settings_schema).encode())

    async def start(self, request, context):
        if self.link:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "this process was started already")
        try:
            params = self._params(request.params)
            handle = self.plugin.configure(params.get("settings") or {})
        except (WrongConfiguration, ValueError) as e:
            self._end(WRONG_CONFIGURATION, str(e))
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(e))
        self.window = request.adoption_window_ns / 1e9
        share = Share(self.inherited.get("share"), request.share_row, request.share_rows)
        self.link = Link(self.loop, request, share, request.push_back_ns / 1e9, params["limits"]["process_queue_bytes"])
        self.link.ended = self._link_ended
        try:
            if not await self.link.connect():
                raise BadFrame("the manager does not welcome this process")
            self.service = Service(self.loop, self.link, share, params, self.inherited, handle)
            self.link.serve()
            self.service.open()
        except (BadFrame, OSError) as e:
            self._end(1, f"cannot start: {e}")
            await context.abort(grpc.StatusCode.UNAVAILABLE, str(e))
        self._task(self.link.run_clock())
        self.serving = True
        return pb.StartResponse()

    def _params(self, text):
        params = json.loads(text)
        unknown = sorted(set(params) - PARAMS)
        if unknown:
            raise WrongConfiguration(f"params have {', '.join(unknown)}, which this plugin does not know; use a newer one")
        if params["message_format_in_id"] != 1 or params["message_format_out_id"] != 1:
            raise WrongConfiguration("this plugin speaks json only; change message_format")
        if {params.get("framing_in", "line"), params.get("framing_out", "line")} != {"line"}:
            raise WrongConfiguration("this plugin speaks lines only; set framing to line")
        if "tcp" not in self.inherited:
            raise WrongConfiguration("there is no listening socket; set host and port")
        return params

    async def drain(self, request, context):
        return pb.DrainResponse(unfinished=await self._drain(request.deadline_ns / 1e9))

    async def _drain(self, seconds):
        if not self.service:
            return 0
        self.draining = self.draining or self._task(self.service.drain(seconds))
        unfinished = await asyncio.shield(self.draining)
        self.drained = True
        return unfinished

    async def stop(self, request, context):
        self._end(0)
        return pb.StopResponse()

    async def clients(self, request, context):
        for c in self.service.list_clients() if self.service else ():
            yield pb.Client(id=c.id, address=c.address, connected_unix_ns=c.connected, messages_in=c.messages_in,
                            messages_out=c.messages_out, queued_bytes=c.backlog.bytes, groups=len(c.groups))

    async def kick(self, request, context):
        client = self.service and self.service.clients.get(request.client_id)
        found = bool(client) and not client.ending
        if found:
            client.end()
        return pb.KickResponse(found=found)

    # The end.

    async def _terminate(self):
        await self._drain(LAST_DRAIN)
        self._end(0)

    def _lifeline_ended(self):
        if os.read(self.inherited["lifeline"], 4096):
            return
        self.loop.remove_reader(self.inherited["lifeline"])
        self.manager_gone = True
        if not self._survives():
            self._end(1, "the manager is gone")

    def _survives(self):
        return self.serving and not self.drained and self.window > 0

    def _link_ended(self, why):
        if isinstance(why, BadFrame):
            self._end(1, f"the manager broke the protocol: {why}")
        elif self._survives():
            self._task(self._orphaned(why))
        else:
            self._end(1, f"the relay link ended: {why}")

    async def _orphaned(self, why):
        """The link ended: waits for a successor of the manager if it is gone, or ends."""
        since = self.loop.time()
        expected = self.link.hold == 2 or self.rejoined
        while not expected and not self.manager_gone:
            if self.loop.time() > since + LIFELINE_LATE:
                self._end(1, f"the relay link ended: {why}")
                return
            await asyncio.sleep(0.01)
        logging.info("the manager is gone, waiting for its successor")
        self.link.forget()
        while (left := since + self.window - self.loop.time()) > 0:
            try:
                if await asyncio.wait_for(self.link.connect(Type.REJOIN), left):
                    self.rejoined = True
                    self.link.serve()
                    logging.info("a successor of the manager is here")
                    return
            except TimeoutError:
                break
            except BadFrame as e:
                self._end(1, f"the successor broke the protocol: {e}")
                return
            await asyncio.sleep(0.01 if self.loop.time() < since + 2 else 0.02)
        await self._drain(LAST_DRAIN)
        self._end(1, "no successor of the manager came")
