#!/usr/bin/env python3
"""Classic tutorial program: the server that answers "OK..." and the text, and its client.

    echo.py server          prints Message[ADDRESS:PORT] - TEXT for each datagram and answers it
    echo.py client PORT     asks for a line, sends it, waits for the reply, prints it, and starts again

A socket that cannot be made or bound is named. Not retried: a client whose reply is lost waits for ever.
"""
import socket
import sys


def make():
    try:
        return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    except OSError as error:
        sys.exit(f"cannot make a socket: {error}")


def serve(udp):
    try:
        udp.bind(("127.0.0.1", 0))
    except OSError as error:
        sys.exit(f"cannot bind: {error}")
    print(f"ready at {udp.getsockname()[1]}", flush=True)
    while True:
        data, (host, port) = udp.recvfrom(1024)
        if not data:
            break
        udp.sendto(b"OK..." + data, (host, port))
        print(f"Message[{host}:{port}] - {data.decode().strip()}", flush=True)


def ask(udp, server):
    while True:
        try:
            text = input("Enter message to send: ")
        except EOFError:
            break
        udp.sendto(text.encode(), server)
        reply, _ = udp.recvfrom(1024)
        print("\nServer reply:", reply.decode(), flush=True)


if sys.argv[1] == "server":
    serve(make())
else:
    ask(make(), ("127.0.0.1", int(sys.argv[2])))
