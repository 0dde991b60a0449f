#!/usr/bin/env python3
"""Stand-ins for coding agents: they draw what such programs draw, in the same order and with the same pauses, and do
nothing. What they do is a list in the variable STEPS, such as `think:3` or `ask:Run it?|cargo test|Yes|No`. The name that
they are called by says whom they stand in for.
"""

import json
import os
import select
import sys
import termios
import time
import tty

OUT = sys.stdout
SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
STARS = "·✢✳✶✻✽"


def say(text):
    OUT.write(text)
    OUT.flush()


class Keys:
    """Keys, one by one and without echo."""

    def __enter__(self):
        self.fd = sys.stdin.fileno()
        self.before = termios.tcgetattr(self.fd)
        tty.setraw(self.fd)
        return self

    def __exit__(self, *_):
        termios.tcsetattr(self.fd, termios.TCSADRAIN, self.before)

    def get(self, patience=None):
        if not select.select([self.fd], [], [], patience)[0]:
            return None
        return os.read(self.fd, 64).decode(errors="replace")


class Agent:
    """What all of them share: a part at the bottom of the screen that is drawn again and again."""

    def __init__(self, keys):
        self.keys, self.drawn, self.marked = keys, 0, False
        self.columns = os.get_terminal_size().columns

    def draw(self, lines):
        say("\x1b[?25l" + self.clear() + "\r\n".join(lines))
        self.drawn = len(lines)
        self.tell_recorder()

    def clear(self):
        if not self.drawn:
            return ""
        up = f"\x1b[{self.drawn - 1}A" if self.drawn > 1 else ""
        self.drawn = 0
        return "\r" + up + "\x1b[J"

    def leave(self, text):
        """What stays above."""
        say(self.clear() + text.replace("\n", "\r\n") + "\r\n")

    def spin(self, seconds, line, frames):
        end, turn, begun = time.monotonic() + seconds, 0, time.monotonic()
        while time.monotonic() < end:
            frame = frames[turn % len(frames)]
            self.draw(self.frame_of(line, frame, int(time.monotonic() - begun)))
            turn += 1
            if self.keys.get(0.12) == "\x03":
                break
        say(self.clear())

    def box(self, lines, width=None):
        width = (width or self.columns) - 2
        cut = lambda line: line[: width - 2] + " " * (width - 2 - len(line[: width - 2]))
        return ["╭" + "─" * width + "╮", *[f"│ {cut(line)} │" for line in lines], "╰" + "─" * width + "╯"]

    # What every agent does in its own way.
    def frame_of(self, line, frame, seconds):
        return [f"{frame} {line}"]

    def think(self, seconds, line="Thinking"):
        self.spin(float(seconds), line, SPINNER)

    def say(self, *text):
        self.leave("\n".join(text))

    def stream(self, *words):
        """Words that come one after another, as from a model."""
        say(self.clear())
        for word in " ".join(words).split(" "):
            say(word.replace("\\n", "\r\n") + " ")
            time.sleep(0.03)
        say("\r\n")

    def pause(self, seconds):
        time.sleep(float(seconds))

    def mark(self):
        """For the recorder: nobody else knows this one."""
        self.marked = True

    def tell_recorder(self):
        if self.marked:
            say("\x1b]1337;ready\x07")
        self.marked = False

    def bell(self):
        say("\x07")

    def osc(self, text):
        say(f"\x1b]9;{text}\x07")

    def passed(self, text):
        say(f"\x1bPtmux;\x1b\x1b]9;{text}\x07\x1b\\")

    def title(self, text):
        say(f"\x1b]0;{text}\x07")

    def progress(self, state):
        say(f"\x1b]9;4;{state};0\x07")


class Claude(Agent):
    """Boxes, a star that turns, a menu with numbers, and a line to type into."""

    def frame_of(self, line, frame, seconds):
        return [f"{frame} {line}… ({seconds}s · ↑ 1.2k tokens · esc to interrupt)", "", *self.input()]

    def input(self, text=""):
        return ["─" * self.columns, f"> {text}", "─" * self.columns, "  ? for shortcuts"]

    def think(self, seconds, line="Pondering"):
        self.spin(float(seconds), line, STARS)

    def ask(self, question, detail, *choices):
        chosen = 0
        while True:
            head, *rest = detail.split("\\n")
            options = [f"{'❯' if i == chosen else ' '} {i + 1}. {text}" for i, text in enumerate(choices)]
            lines = [head, *[f"  {line}" for line in rest], "", question, *options]
            self.draw([*self.box(lines), "  Esc to cancel"])
            key = self.keys.get()
            if key in ("\x1b[B", "\x1b[A"):
                chosen = (chosen + (1 if key == "\x1b[B" else -1)) % len(choices)
            elif key == "\r" or key == "\x1b" or key.isdigit() and 0 < int(key) <= len(choices):
                break
        self.leave("⏺ " + head)

    def ready(self, *_):
        self.mark()
        text = ""
        while True:
            self.draw(self.input(text))
            key = self.keys.get()
            if key.endswith("\r"):
                text += key[:-1]
                break
            text = text[:-1] if key == "\x7f" else text + key
        self.leave(f"> {text}")


class Codex(Agent):
    """A menu with letters, a bar with the time."""

    def frame_of(self, line, frame, seconds):
        return [f"• {line} ({seconds}s • Esc to interrupt)", "", "› ", "", "  send   ⌃J newline   ⌃C quit"]

    def think(self, seconds, line="Working"):
        self.spin(float(seconds), line, "•◦")

    def ask(self, question, detail, *choices):
        while True:
            options = [f"{'›' if i == 0 else ' '} {i + 1}. {text}" for i, text in enumerate(choices)]
            self.draw([f"  {question}", "", f"  $ {detail}", "", *options, "", "  Press Enter to confirm or Esc to cancel"])
            key = self.keys.get()
            if key in "\r\x1byn" or key.isdigit():
                break
        self.leave("✔ You approved it to run" if key in "\ry1" else "✗ You canceled the request")

    def ready(self, *_):
        self.mark()
        self.draw(["› Ask for a change", "", "  send   ⌃J newline   ⌃C quit"])
        text = ""
        while not text.endswith("\r"):
            text += self.keys.get()
        self.leave("› " + text[:-1])


class Gemini(Agent):
    """A list of round marks in a box."""

    def frame_of(self, line, frame, seconds):
        return [f"{frame} {line} (esc to cancel, {seconds}s)", "", *self.box([">   Type your message"])]

    def ask(self, question, detail, *choices):
        options = [f"{'●' if i == 0 else '○'} {i + 1}. {text}" for i, text in enumerate(choices)]
        self.draw(self.box([f"?  Shell {detail}", "", detail, "", question, "", *options]))
        self.keys.get()
        self.leave(f"✔  Shell {detail}")

    def ready(self, *_):
        self.mark()
        self.draw(self.box([">   Type your message or @path/to/file"]))
        text = ""
        while not text.endswith("\r"):
            text += self.keys.get()
        self.leave("> " + text[:-1])


class Aider(Agent):
    """Plain lines: what it asks stands at the end of the last one."""

    def frame_of(self, line, frame, seconds):
        return [f"{frame} Waiting for the model"]

    def think(self, seconds, line=""):
        self.spin(float(seconds), line, "░█")

    def line(self, prompt):
        say("\x1b[?25h" + prompt)
        self.tell_recorder()
        text = ""
        while not text.endswith("\r"):
            key = self.keys.get()
            text += key
            say(key.replace("\r", "\r\n"))
        return text

    def ask(self, question, detail, *choices):
        if detail:
            self.leave(detail)
        self.line(f"{question} {choices[0]}: ")

    def ready(self, *_):
        self.mark()
        self.leave("─" * self.columns)
        self.line("> ")


class Opencode(Agent):
    """A panel with buttons in a row, on a screen of its own."""

    def frame_of(self, line, frame, seconds):
        return [f"{frame} {line}...", "", "┃", "┃  > ", "┃", "  esc interrupt"]

    def ask(self, question, detail, *choices):
        buttons = "   ".join(choices)
        self.draw(["┃", f"┃ △ {question}", "┃", f"┃   $ {detail}", "┃", f"┃  {buttons}    ⇆ select  enter confirm", "┃"])
        self.keys.get()
        self.leave(f"┃ $ {detail}")

    def ready(self, *_):
        self.mark()
        self.draw(["┃", "┃  > Ask anything", "┃", "  tab agents  ctrl+p commands"])
        text = ""
        while not text.endswith("\r"):
            text += self.keys.get()
        self.leave("┃  " + text[:-1])


def main():
    kind = os.path.basename(sys.argv[0])
    kinds = {"claude": Claude, "codex": Codex, "gemini": Gemini, "aider": Aider, "opencode": Opencode}
    with Keys() as keys:
        agent = kinds[kind](keys)
        for step in json.loads(os.environ["STEPS"]):
            verb, _, rest = step.partition(":")
            getattr(agent, verb)(*(rest.split("|") if rest else []))
    say("\x1b[?25h\r\n")


main()
