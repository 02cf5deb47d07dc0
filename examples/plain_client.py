#!/usr/bin/env python3
"""Says a line to an agent as plain text, and prints what comes back within a second.

    examples/plain_client.py HOST PORT TEXT...

Nothing is encrypted, nothing proves who is who, and nobody tells whether the line arrived.
"""
import socket
import sys

if len(sys.argv) < 4:
    sys.exit(f"usage: {sys.argv[0]} HOST PORT TEXT...")

host, port, text = sys.argv[1], int(sys.argv[2]), " ".join(sys.argv[3:])
family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
with socket.socket(family, kind, protocol) as peer:
    peer.settimeout(1)
    # Of a connected socket the system tells that nobody listens.
    peer.connect(address)
    peer.send(text.encode())
    try:
        answer = peer.recv(65535)
        print(f"{address[0]}: {answer.decode(errors='replace')}")
    except TimeoutError:
        print("no answer; agents answer plain text only with --reply or when someone types", file=sys.stderr)
    except ConnectionRefusedError:
        sys.exit(f"{host}:{port}: nobody listens there")
