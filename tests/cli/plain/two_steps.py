#!/usr/bin/env python3
"""Classic tutorial program: chat in two steps.

    two_steps.py receive         only receives and prints
    two_steps.py send PORT       only sends what is typed
    two_steps.py chat PORT       does both, with threads

Typing "quit" ends it. Not a protocol: "quit" is not sent.
"""
import socket
import sys
import threading

role = sys.argv[1]
endpoint = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
endpoint.bind(("127.0.0.1", 0))


def receive():
    while True:
        text, _ = endpoint.recvfrom(1024)
        print("received:", text.decode().rstrip(), flush=True)


print(f"ready at {endpoint.getsockname()[1]}", flush=True)
if role == "receive":
    receive()
if role == "chat":
    threading.Thread(target=receive, daemon=True).start()
for line in sys.stdin:
    if line.strip() == "quit":
        break
    endpoint.sendto(line.encode(), ("127.0.0.1", int(sys.argv[2])))
print("bye", flush=True)
