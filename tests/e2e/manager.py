"""A service manager's end of the socket to which services of Type=notify tell how they are."""

import os
import socket
from unittest import mock

DEADLINE_S = 60


class Manager:
    """`with Manager(path) as manager:` sets NOTIFY_SOCKET for processes that are started within. A
    name that begins with @ is no file's."""

    def __init__(self, name):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + name[1:] if name.startswith("@") else name)
        self.socket.settimeout(DEADLINE_S)
        self.environment = mock.patch.dict(os.environ, {"NOTIFY_SOCKET": name})

    def __enter__(self):
        self.environment.start()
        return self

    def __exit__(self, *_):
        self.environment.stop()
        self.socket.close()

    def told(self, until):
        """The messages that come, up to the one that has the line `until`."""
        messages = []
        while not messages or until not in messages[-1].split("\n"):
            messages.append(self.socket.recv(4096).decode())
        return messages
