"""TCP in between: one address for several servers, and outages on demand."""

import itertools
import socket
import struct
import threading

# A connection that ends so is reset: the other side learns that it broke off.
RESET = struct.pack("ii", 1, 0)


class Proxy:
    """Passes each connection to the next target that is there.

    `mode` is "pass", "refuse" (connections are reset, old and new ones) or "stall" (they stay open
    and no byte comes through).
    """

    def __init__(self, targets):
        self.targets = targets
        self.mode = "pass"
        self.moved = threading.Condition()
        self.turn = itertools.count()
        self.open = set()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def set(self, mode):
        with self.moved:
            self.mode = mode
            self.moved.notify_all()
            ended = list(self.open) if mode == "refuse" else []
        for end in ended:
            self.reset(end)

    @staticmethod
    def reset(end):
        try:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def target(self):
        count = len(self.targets)
        first = next(self.turn)
        for at in range(count):
            host, port = self.targets[(first + at) % count].rsplit(":", 1)
            try:
                return socket.create_connection((host, int(port)), timeout=5)
            except OSError:
                continue
        return None

    def passes(self):
        """Waits while stalled; whether bytes may go through."""
        with self.moved:
            self.moved.wait_for(lambda: self.mode != "stall")
            return self.mode == "pass"

    def serve(self, client):
        if not self.passes():
            self.reset(client)
            client.close()
            return
        server = self.target()
        if server is None:
            self.reset(client)
            client.close()
            return
        server.settimeout(None)
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self.moved:
            self.open |= {client, server}
        back = threading.Thread(target=self.pump, args=(server, client), daemon=True)
        back.start()
        self.pump(client, server)
        back.join()
        with self.moved:
            self.open -= {client, server}
        client.close()
        server.close()

    def pump(self, source, sink):
        try:
            while data := source.recv(65536):
                if not self.passes():
                    break
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            # One side is gone: so is the other.
            self.reset(source)
            self.reset(sink)
