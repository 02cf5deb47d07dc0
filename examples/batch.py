#!/usr/bin/env python3
"""Runs commands on hosts through one "udpctl batch", from any number of threads.

    examples/batch.py TARGET... -- COMMAND...

prints how the command ended on each target, in the order of the targets. Batch is what to copy: each call of run()
sends one request and waits for the record with its tag.
"""
import itertools
import json
import subprocess
import sys
import threading
from concurrent.futures import Future


class Batch:
    """A running "udpctl batch -": requests go in, and each has a future with its record."""

    def __init__(self, *options):
        self.process = subprocess.Popen(
            ["udpctl", "batch", *options, "-"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            bufsize=1,
        )
        # Only writers wait for it: the reader must go on while a pipe is full.
        self.writing = threading.Lock()
        self.waiting = {}
        self.tags = itertools.count(1)
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def submit(self, target, argv, **more):
        """Sends a request to one host, with stdin, timeout, id, user, env and cwd if wanted; returns its future."""
        tag, future = next(self.tags), Future()
        self.waiting[tag] = future
        request = {"target": target, "argv": argv, "tag": tag, **more}
        with self.writing:
            self.process.stdin.write(json.dumps(request) + "\n")
        return future

    def run(self, target, argv, **more):
        """Does the same and waits for the record."""
        return self.submit(target, argv, **more).result()

    def _read(self):
        for line in self.process.stdout:
            record = json.loads(line)
            future = self.waiting.pop(record["tag"])
            if record["type"] == "error":
                future.set_exception(ValueError(record["error"]))
            else:
                future.set_result(record)
        # The output ends once every request has its record, or when udpctl has failed.
        for future in list(self.waiting.values()):
            future.set_exception(EOFError("udpctl has ended"))

    def close(self):
        """Sends no further request, waits for those that were sent, and returns the exit status of udpctl."""
        self.process.stdin.close()
        self.reader.join()
        return self.process.wait()


def main(words):
    if "--" not in words[1:] or words[-1] == "--":
        sys.exit(f"usage: {sys.argv[0]} TARGET... -- COMMAND...")
    targets, command = words[: words.index("--")], words[words.index("--") + 1 :]
    batch = Batch()
    futures = [batch.submit(target, command, timeout="1m") for target in targets]
    for target, future in zip(targets, futures):
        try:
            record = future.result()
            print(f"{target}: {record['class']}: {record['stdout'].get('text')!r}")
        except (EOFError, ValueError) as error:
            print(f"{target}: {error}")
    sys.exit(batch.close())


if __name__ == "__main__":
    main(sys.argv[1:])
