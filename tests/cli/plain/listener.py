#!/usr/bin/env python3
"""Classic tutorial program: the listener.

    listener.py listen            prints everything that it gets, for ever
    listener.py say PORT TEXT     sends one datagram and exits

Nothing is ever answered.
"""
import socket
import sys

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
    if sys.argv[1] == "say":
        udp.sendto(sys.argv[3].encode(), ("127.0.0.1", int(sys.argv[2])))
        sys.exit()
    udp.bind(("127.0.0.1", 0))
    print(f"ready at {udp.getsockname()[1]}", flush=True)
    while True:
        print(udp.recv(65535), flush=True)
