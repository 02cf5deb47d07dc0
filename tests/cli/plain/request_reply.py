#!/usr/bin/env python3
"""Classic tutorial program: request and reply.

    request_reply.py server          answers each datagram with a fixed greeting
    request_reply.py client PORT     sends one datagram, waits for one reply, prints it

The buffer has 1024 bytes. Not retried: a client whose reply is lost waits for ever.
"""
import socket
import sys

BUFFER = 1024
udp = socket.socket(family=socket.AF_INET, type=socket.SOCK_DGRAM)
if sys.argv[1] == "server":
    udp.bind(("127.0.0.1", 0))
    print(f"ready at {udp.getsockname()[1]}", flush=True)
    while True:
        message, address = udp.recvfrom(BUFFER)
        print("message from client:", message, flush=True)
        print("address of client:", address, flush=True)
        udp.sendto(b"Hello UDP Client", address)
else:
    udp.sendto(b"Hello UDP Server", ("127.0.0.1", int(sys.argv[2])))
    reply, _ = udp.recvfrom(BUFFER)
    print("message from server:", reply.decode(), flush=True)
