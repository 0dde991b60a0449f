"""Scenes with real programs that ask, and with stand-ins for those that can't be run everywhere."""

from .scenes import scene

# Whoever starts a program at the keyboard is there when it asks: what asks at once is told only after a while.
AWAY = 9.5


def begins(take, line):
    take.expect(r"\$ ")
    take.rest(0.3)
    take.type(line + "\r")
    # The line itself is shown, and is no output of what it starts.
    take.rest(0.3)
    take.seen = len(take.text)


def asked(name, line, pattern, answer, reason="approval", prepare="", needs=(), then="it goes on", columns=80, away=0.0, ends=1.6):
    """A program that works for a while, asks, is answered and goes on."""
    @scene(name, columns=columns, prepare=prepare, needs=needs)
    def play(take):
        begins(take, f"sleep {AWAY:g}; {line}" if not away else line)
        take.rest(2)
        take.label("none", "it works")
        take.asks(pattern, reason, after=1.2 + away)
        take.type(answer)
        take.rest(ends)
        take.label("none", then)


asked("apt-continue", "tool apt", r"\[Y/n\] ", "y\r")
asked("apt-abort", "tool apt", r"\[Y/n\] ", "n\r", columns=60)
asked("terraform-apply", "tool terraform", "Enter a value: ", "yes\r", reason="approval|input")
asked("npx-install", "tool npx", r"\(y\) ", "y\r")
asked("pip-uninstall", "tool pip", r"\(Y/n\)\? ", "y\r")
asked("read-yes-no", "read -p 'Deploy to production? (yes/no) ' x", r"\(yes/no\) ", "yes\r", then="the shell is back")
asked("read-y-n", "read -p 'Overwrite existing file? [y/N]: ' x; sleep 3", r"\[y/N\]: ", "n\r")
asked("read-press-key", "read -n1 -s -r -p 'Press any key to continue'; echo; sleep 3", "any key to continue", " ", reason="input|approval")
asked("read-press-enter", "read -p 'Press ENTER to continue or Ctrl-C to abort...'; sleep 3", r"abort\.\.\.", "\r", reason="input|approval")
asked("python-input", "python3 -c \"x = input('Continue? (y/n): '); import time; time.sleep(3)\"", r"\(y/n\): ", "y\r")
asked("python-getpass", "python3 -c \"import getpass, time; getpass.getpass(); time.sleep(3)\"", "Password: ", "secret\r", reason="input")
asked("rm-interactive", "rm -i a.txt; sleep 3", r"remove regular .*\? ", "n\r", prepare="echo x > a.txt")
asked("cp-interactive", "cp -i a.txt b.txt; sleep 3", r"overwrite .*\? ", "n\r", prepare="echo x > a.txt; echo y > b.txt")
asked("git-clean", "git clean -i; sleep 3", "What now> ", "q\r", reason="input|approval", prepare="git init -q; echo x > new.txt", needs=("git",))
asked("git-add-patch", "git add -p; sleep 3", r"Stage this hunk \[.*\]\? ", "q\r",
      prepare="git init -q; echo a > f; git add f; git commit -qm a; echo b > f", needs=("git",))
asked("npm-init", "npm init; sleep 3", r"package name: \(.*\) ", "x\r\r\r\r\r\r\r\r\rno\r", reason="input", prepare="mkdir -p pkg && cd pkg", needs=("npm",), ends=3)
asked("inquirer-list", "tool inquirer", "Svelte", "\r", reason="input|approval|none")
asked("apt-wide", "tool apt", r"\[Y/n\] ", "y\r", columns=140)
asked("unzip-replace", "read -p 'replace a.txt? [y]es, [n]o, [A]ll, [N]one, [r]ename: ' x; sleep 3", "ename: ", "y\r")
asked("yes-no-brackets", "read -p 'Are you sure you want to delete 3 volumes? [yes/no] ' x; sleep 3", r"\[yes/no\] ", "no\r")
asked("proceed-y-n", "read -p 'Proceed ([y]/n)? ' x; sleep 3", r"/n\)\? ", "y\r")


@scene("ssh-host-and-password")
def ssh(take):
    begins(take, f"sleep {AWAY:g}; tool ssh")
    take.rest(2)
    take.label("none", "it works")
    take.asks(r"\[fingerprint\]\)\? ", "approval")
    take.type("yes\r")
    take.expect("'s password: ")
    take.rest(10.5)
    take.label("input", "nobody has typed for a while")
    take.type("secret\r")
    take.rest(1.6)
    take.label("none")


@scene("sudo-twice")
def sudo(take):
    begins(take, f"sleep {AWAY:g}; tool sudo")
    take.rest(2)
    take.label("none")
    take.asks(r"password for user: ", "input")
    take.type("wrong\r")
    take.expect(r"try again\.\s+\[sudo\] password for user: ")
    take.rest(1.5)
    take.label("none", "whoever typed the first is there")
    take.rest(9)
    take.label("input", "and now is not")
    take.type("right\r")
    take.rest(1.6)
    take.label("none")


@scene("git-username")
def git_login(take):
    begins(take, f"sleep {AWAY:g}; tool gitlogin")
    take.rest(2)
    take.label("none")
    take.asks("Username for .*: ", "input")
    take.type("user\r")
    take.expect("Password for .*: ")
    take.rest(1.2)
    take.label("none", "whoever typed the name is there")
    take.type("secret\r")
    take.rest(1.6)
    take.label("none")


@scene("ssh-key", needs=("ssh-keygen",))
def ssh_key(take):
    begins(take, f"sleep {AWAY:g}; ssh-keygen -q -t ed25519 -C x -f ./key; sleep 3")
    take.rest(2)
    take.label("none")
    take.asks("passphrase.*: ", "input")
    take.type("\r")
    take.expect("again: ")
    take.type("\r")
    take.rest(1.6)
    take.label("none")


def ringing(name, line, reason, until):
    @scene(name)
    def play(take):
        begins(take, line)
        take.rest(0.9)
        take.label("none", "it works")
        take.expect(until)
        take.rest(0.8)
        take.label(reason)
        take.rest(0.6)
        take.label(reason)


ringing("bell-after-build", "tool ringing", "message", "build finished")
ringing("osc777", "tool notify", "message", "test 9 ok")
ringing("osc99", "tool kitty", "message", "encoding 7")
ringing("progress-fails", "tool progress", "failed", "step 60 failed")


@scene("bell-of-a-shell")
def shell_bell(take):
    begins(take, "sleep 2; printf '\\a'; echo rang")
    take.rest(1)
    take.label("none")
    take.expect("[\r\x07]rang")
    take.rest(0.8)
    take.label("message")
    take.type("ls\r")
    take.rest(1)
    take.label("none", "somebody typed")
