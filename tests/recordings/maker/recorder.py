"""Records a program in a terminal of its own, while a scene plays its user, and notes what is the case when.

A take becomes two files: `<name>.cast` (asciicast v2, with events "o" for output, "i" for input and "m" for what runs in
the foreground; "b" is output in base64 that is not UTF-8) and `<name>.json` with the moments that a scene has labelled.
"""

import base64
import codecs
import fcntl
import json
import os
import pty
import re
import signal
import struct
import termios
import threading
import time

WORK = "/tmp/w"
PATIENCE = 60.0
SAMPLE = 0.05
READY = "\x1b]1337;ready\x07"


class Take:
    """One recording in the making."""

    def __init__(self, name, argv, columns=80, rows=24, env=None, work=WORK):
        self.name, self.columns, self.rows = name, columns, rows
        self.events, self.labels, self.text = [], [], ""
        self.lock = threading.Lock()
        self.changed = threading.Condition(self.lock)
        self.seen = 0
        self.foreground = None
        pid, self.master = pty.fork()
        if pid == 0:
            os.makedirs(work, exist_ok=True)
            os.chdir(work)
            os.execvpe(argv[0], argv, env)
        self.pid = pid
        self.began = time.monotonic()
        self.resize(columns, rows, note=False)
        self.ended = threading.Event()
        self.threads = [threading.Thread(target=self._read), threading.Thread(target=self._sample)]
        for thread in self.threads:
            thread.start()

    def now(self):
        return time.monotonic() - self.began

    def _note(self, kind, data):
        self.events.append([round(self.now(), 4), kind, data])

    def _read(self):
        decoder = codecs.getincrementaldecoder("utf-8")("strict")
        while True:
            try:
                data = os.read(self.master, 65536)
            except OSError:
                data = b""
            if not data:
                break
            with self.changed:
                try:
                    text = decoder.decode(data)
                    if text:
                        self._note("o", text)
                except UnicodeDecodeError:
                    pending = decoder.getstate()[0]
                    decoder.reset()
                    text = (pending + data).decode("utf-8", "replace")
                    self._note("b", base64.b64encode(pending + data).decode())
                self.text += text
                self.changed.notify_all()
        self.ended.set()
        with self.changed:
            self.changed.notify_all()

    def _sample(self):
        while not self.ended.wait(SAMPLE):
            found = foreground(self.master)
            if found and found != self.foreground:
                self.foreground = found
                with self.lock:
                    self._note("m", "foreground " + found)

    def resize(self, columns, rows, note=True):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        if note:
            with self.lock:
                self._note("r", f"{columns}x{rows}")

    def expect(self, pattern, patience=PATIENCE):
        """Waits until output that nobody has waited for yet matches."""
        deadline = time.monotonic() + patience
        with self.changed:
            while True:
                found = re.search(pattern, plain(self.text[self.seen:]))
                if found:
                    self.seen = len(self.text)
                    return
                if self.ended.is_set() or time.monotonic() > deadline:
                    raise AssertionError(f"{self.name}: no {pattern!r} in {plain(self.text[self.seen:])[-400:]!r}")
                self.changed.wait(0.1)

    def ready(self):
        """Waits until a stand-in has nothing to do, which it says where nobody looks."""
        deadline = time.monotonic() + PATIENCE
        with self.changed:
            while READY not in self.text[self.seen:]:
                if self.ended.is_set() or time.monotonic() > deadline:
                    raise AssertionError(f"{self.name}: it never has nothing to do")
                self.changed.wait(0.1)
            self.seen = len(self.text)

    def type(self, text):
        with self.lock:
            self._note("i", text)
        os.write(self.master, text.encode())

    def rest(self, seconds):
        time.sleep(seconds)

    def label(self, expect, note=""):
        """What the user should have been told by now, and not been told that it is over: a reason, or nothing."""
        with self.lock:
            self.labels.append({"time": round(self.now(), 4), "expect": expect, "note": note})

    def asks(self, pattern, reason, note="", after=1.2):
        """Waits for a question; after a moment it is known, and it stays known."""
        self.expect(pattern)
        self.rest(after)
        self.label(reason, note)
        self.rest(0.6)
        self.label(reason, note)

    def quiet(self, note="", after=1.5):
        self.rest(after)
        self.label("none", note)

    def finish(self, patience=20.0):
        if not self.ended.wait(0.2):
            os.kill(self.pid, signal.SIGHUP)
            if not self.ended.wait(patience):
                os.kill(self.pid, signal.SIGKILL)
        self.ended.set()
        for thread in self.threads:
            thread.join()
        os.waitpid(self.pid, 0)
        os.close(self.master)

    def save(self, directory, held_out):
        header = {"version": 2, "width": self.columns, "height": self.rows, "title": self.name}
        with open(os.path.join(directory, self.name + ".cast"), "w") as file:
            for line in [header, *sorted(self.events, key=lambda event: event[0])]:
                file.write(json.dumps(line, ensure_ascii=True) + "\n")
        about = {"held_out": held_out, "moments": self.labels}
        with open(os.path.join(directory, self.name + ".json"), "w") as file:
            json.dump(about, file, indent=1)
            file.write("\n")


def plain(text):
    text = re.sub(r"\x1b\][^\x07\x1b]*(\x07|\x1b\\)", "", text)
    text = re.sub(r"\x1b\[[0-9;?<>=]*[ -/]*[@-~]", "", text)
    return re.sub(r"\x1b[()][0-9A-B]|\x1b[=>78]", "", text)


def foreground(master):
    """Name and state of the foreground group's leader, as the agent reads them."""
    try:
        group = struct.unpack("i", fcntl.ioctl(master, termios.TIOCGPGRP, b"\0" * 4))[0]
        with open(f"/proc/{group}/stat") as file:
            state = file.read().rsplit(") ", 1)[1][0]
        with open(f"/proc/{group}/comm") as file:
            comm = file.read().strip()
        with open(f"/proc/{group}/cmdline") as file:
            words = file.read().split("\0")
    except (OSError, IndexError):
        return None
    program = os.path.basename(words[0])
    script = next((os.path.basename(word) for word in words[1:] if word and not word.startswith("-")), None)
    if script and program.startswith(("python", "node")) and comm == program:
        comm = re.sub(r"\.(py|js)$", "", script)
    return f"{comm} {'running' if state in 'RD' else 'waiting'}"
