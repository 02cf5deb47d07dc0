#!/usr/bin/env python3
"""Classic tutorial program: the symmetric messenger, the same at both ends.

    messenger.py OWN_PORT PEER_PORT

One thread prints what arrives, the other sends what is typed to the peer. Not reliable: nothing tells that a datagram was
lost. It ends with its input.
"""
import socket
import sys
import threading

own, peer = int(sys.argv[1]), int(sys.argv[2])
endpoint = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
endpoint.bind(("127.0.0.1", own))


def receive():
    while True:
        data, sender = endpoint.recvfrom(4096)
        print(f"{sender[1]} says {data.decode().rstrip()}", flush=True)


threading.Thread(target=receive, daemon=True).start()
print(f"ready at {endpoint.getsockname()[1]}", flush=True)
for line in sys.stdin:
    endpoint.sendto(line.rstrip("\n").encode(), ("127.0.0.1", peer))
