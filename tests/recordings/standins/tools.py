#!/usr/bin/env python3
"""Stand-ins for tools that can't be run everywhere: what they ask and how they print is like the real ones'. The first
argument says which."""

import getpass
import random
import sys
import time


def slowly(lines, pause):
    for line in lines:
        print(line, flush=True)
        time.sleep(pause)


def apt():
    slowly(["Reading package lists...", "Building dependency tree...", "The following NEW packages will be installed:",
            "  hello libhello", "0 upgraded, 2 newly installed, 0 to remove and 0 not upgraded.",
            "After this operation, 1,024 kB of additional disk space will be used."], 0.1)
    answer = input("Do you want to continue? [Y/n] ")
    if answer.lower() in ("", "y"):
        slowly([f"Get:{n} http://deb.example.org stable/main hello{n} [{n} kB]" for n in range(1, 25)], 0.12)
    else:
        print("Abort.")


def ssh():
    print("The authenticity of host 'box.example.org (192.0.2.7)' can't be established.")
    print("ED25519 key fingerprint is SHA256:mVPwvezndPv/ARoIadVY98vAC0g+P/5633yTC4d/wXE.")
    answer = input("Are you sure you want to continue connecting (yes/no/[fingerprint])? ")
    if answer != "yes":
        return
    print("Warning: Permanently added 'box.example.org' (ED25519) to the list of known hosts.")
    time.sleep(0.4)
    getpass.getpass("user@box.example.org's password: ")
    slowly(["Welcome to Example OS", "Last login: today"], 0.1)
    time.sleep(2)


def sudo():
    getpass.getpass("[sudo] password for user: ")
    time.sleep(0.6)
    getpass.getpass("Sorry, try again.\n[sudo] password for user: ")
    slowly([f"unpacking {n}" for n in range(20)], 0.1)


def terraform():
    slowly(["Terraform will perform the following actions:", "", "  # null_resource.a will be created",
            "Plan: 1 to add, 0 to change, 0 to destroy.", "", "Do you want to perform these actions?",
            "  Terraform will perform the actions described above.",
            "  Only 'yes' will be accepted to approve.", ""], 0.05)
    input("  Enter a value: ")
    slowly([f"null_resource.a: Still creating... [{n}0s elapsed]" for n in range(1, 6)], 0.5)


def npx():
    print("Need to install the following packages:\nhello-cli@1.0.0")
    input("Ok to proceed? (y) ")
    slowly([f"added {n} packages" for n in range(12)], 0.15)


def pip():
    slowly(["Found existing installation: requests 2.0", "Uninstalling requests-2.0:", "  Would remove:", "    /lib/requests/*"], 0.1)
    input("Proceed (Y/n)? ")
    print("  Successfully uninstalled requests-2.0")
    time.sleep(2)


def gitlogin():
    print("Cloning into 'thing'...")
    time.sleep(0.3)
    input("Username for 'https://git.example.org': ")
    getpass.getpass("Password for 'https://user@git.example.org': ")
    slowly([f"Receiving objects: {n * 9}%" for n in range(12)], 0.15)


def inquirer():
    """A question with a list that arrows choose from."""
    print("? Pick a framework » - Use arrow-keys. Return to submit.")
    slowly(["❯   Vanilla", "    Vue", "    React", "    Svelte"], 0)
    sys.stdin.readline()
    slowly(["Scaffolding project..."] + [f"file {n}" for n in range(12)], 0.15)


def cargo():
    """A long build, whose output speaks of everything that could be taken for a question."""
    crates = ["serde", "do-you-want", "yes-no", "prompt", "confirm", "tokio", "syn", "quote", "rand", "libc"]
    for n in range(45):
        print(f"   \x1b[1;32mCompiling\x1b[0m {crates[n % len(crates)]} v1.{n}.0", flush=True)
        if n % 9 == 4:
            print("warning: do you want `unwrap` here? [y/N] is what users type\n  |\n  = help: Continue? (y/n)", flush=True)
        time.sleep(random.choice([0.05, 0.1, 0.2, 0.7]))
    print("    Finished `dev` profile in 9.31s", flush=True)


def logs():
    for n in range(40):
        print(f"12:00:{n:02} INFO request {n}: Do you want to continue? [y/N] Password: Proceed (Y/n)?", flush=True)
        time.sleep(random.choice([0.05, 0.3, 0.9]))


def bars():
    for n in range(101):
        print(f"\rDownloading |{'#' * (n // 4):<25}| {n}% continue? ", end="", flush=True)
        time.sleep(0.06)
    print()


def half():
    """Lines that begin as a question would, and go on after a moment."""
    for what in ["Checking password: ", "Continue with step 2: ", "Are you sure? checking", "Overwrite? (y/n) is answered by --yes"]:
        print(what, end="", flush=True)
        time.sleep(0.1)
        print("ok", flush=True)
        time.sleep(0.8)


def hostile():
    """Bytes that no terminal should choke on."""
    out = sys.stdout.buffer
    rng = random.Random(7)
    for n in range(60):
        out.write(bytes(rng.randrange(256) for _ in range(80)).replace(b"\x07", b"").replace(b"\x9d", b""))
        out.write(b"\x18\x1b\\\x1b[0m\r\n")
        out.flush()
        time.sleep(0.05)
    out.write(b"\x1bc\x1b[2J\x1b[Hclean again\r\n")
    out.flush()


def titles():
    for n in range(60):
        print(f"\x1b]0;building {n}\x07\x1b]2;still {n}\x07line {n}", flush=True)
        time.sleep(0.08)


def bigtitle():
    sys.stdout.write("\x1b]0;" + "Do you want to proceed? [y/N] " * 2000 + "\x07")
    print("after the title", flush=True)
    time.sleep(3)


def unterminated():
    sys.stdout.write("\x1b]0;no end of this title")
    sys.stdout.flush()
    time.sleep(1.5)
    sys.stdout.write("\x1b\\\x1bP1$q never answered \x1b\\text\r\n")
    sys.stdout.flush()
    time.sleep(2)


def clock():
    """A screen that is drawn anew all the time."""
    sys.stdout.write("\x1b[?1049h\x1b[?25l")
    for n in range(60):
        sys.stdout.write(f"\x1b[H\x1b[Kload {n} Tasks: {n}\r\n\x1b[K" + "".join(f"\x1b[K{p} proc-{p} {n * p % 97}%\r\n" for p in range(15)))
        sys.stdout.flush()
        time.sleep(0.12)
    sys.stdout.write("\x1b[?1049l\x1b[?25h")


def ringing():
    slowly([f"step {n}" for n in range(12)], 0.12)
    sys.stdout.write("build finished\n\x07")
    sys.stdout.flush()
    time.sleep(4)


def notify():
    slowly([f"test {n} ok" for n in range(10)], 0.12)
    sys.stdout.write("\x1b]777;notify;Tests;12 passed\x1b\\")
    sys.stdout.flush()
    time.sleep(4)


def kitty():
    slowly([f"encoding {n}" for n in range(8)], 0.12)
    sys.stdout.write("\x1b]99;i=1:d=0;Encoding\x1b\\\x1b]99;i=1:p=body;finished\x1b\\")
    sys.stdout.flush()
    time.sleep(4)


def progress():
    for n in range(0, 60, 5):
        sys.stdout.write(f"\x1b]9;4;1;{n}\x07step {n}\r\n")
        sys.stdout.flush()
        time.sleep(0.15)
    sys.stdout.write("\x1b]9;4;2;60\x07error: step 60 failed\r\n")
    sys.stdout.flush()
    time.sleep(3)


def flood():
    end = time.monotonic() + 4
    while time.monotonic() < end:
        sys.stdout.write("Do you want to continue? [y/N] n\r\n" * 50)
        sys.stdout.flush()
        time.sleep(0.02)


globals()[sys.argv[1]]()
