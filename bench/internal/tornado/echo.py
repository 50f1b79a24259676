"""Echo lines over TCP, as one writes it with Tornado, in two processes."""
import sys

from tornado.iostream import StreamClosedError
from tornado.netutil import bind_sockets
from tornado.process import fork_processes
from tornado.ioloop import IOLoop
from tornado.tcpserver import TCPServer


class Echo(TCPServer):
    async def handle_stream(self, stream, address):
        try:
            while True:
                await stream.write(await stream.read_until(b"\n"))
        except StreamClosedError:
            pass


sockets = bind_sockets(int(sys.argv[1]), "127.0.0.1")
fork_processes(int(sys.argv[2]), max_restarts=0)
server = Echo()
server.add_sockets(sockets)
IOLoop.current().start()
