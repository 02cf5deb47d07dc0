#!/usr/bin/env python3
"""A bot in the chat of an agent: udpctl does the protocol, this program reads and writes lines.

Usage: bot.py TARGET. It answers "!ping" and "!uptime" of members whose keys the agent knows, and never a line of plain
text, which "(unverified)" marks: anybody could have sent that.
"""

import subprocess
import sys


def answer(text):
    """Returns the answer to a message, or None."""
    if text == "!ping":
        return "pong"
    if text == "!uptime":
        with open("/proc/uptime") as file:
            return "up for %d minutes" % (float(file.read().split()[0]) // 60)
    return None


def main(target):
    chat = subprocess.Popen(
        ["udpctl", "chat", "--name", "bot", target],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    )
    for line in chat.stdout:
        sender, _, text = line.rstrip("\n").partition(": ")
        reply = None if sender.endswith(" (unverified)") else answer(text)
        if reply:
            print(f"{sender}: {reply}", file=chat.stdin, flush=True)
    return chat.wait()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
