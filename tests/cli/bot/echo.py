#!/usr/bin/env python3
"""A bot: answers each message with its name and text, does what a message in capitals says, and notes that it was run."""

import json
import os
import sys
import time

descriptors = sorted(os.listdir("/proc/self/fd"))
message = json.load(sys.stdin)["said"]
if len(sys.argv) > 1:
    with open(sys.argv[1], "a") as runs:
        print(json.dumps(message), sys.argv[2:], sorted(os.environ), descriptors, file=runs)
text = message["text"]
if text == "CRASH":
    print("never sent")
    sys.exit("first line\nno luck \x1b[2J")
if text == "SLEEP":
    time.sleep(600)
if text == "FLOOD":
    while True:
        print("y" * 3_000)
if text == "NOTHING":
    sys.exit()
print(f"{message['from']} says {text}")
