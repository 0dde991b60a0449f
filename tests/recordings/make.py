#!/usr/bin/env python3
"""Makes the recordings anew: `tests/recordings/make.py [name ...]`.

Which are set aside does not depend on who makes them: it follows from their names. What is set aside was so before a
pattern was written, and patterns are not written by looking at it.
"""

import concurrent.futures
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True

from maker import scenes, scenes_agents, scenes_programs, scenes_quiet  # noqa: E402, F401

AGENTS = ["claude", "codex", "gemini", "aider", "opencode"]
AT_ONCE = 6


def held_out(name):
    """A third of the names, and a little more."""
    return hashlib.sha256(name.encode()).digest()[0] < 90


def install(directory, python):
    """Puts the stand-ins where shells find them, under the names that they have in the foreground."""
    for name, source in [*[(agent, "agents.py") for agent in AGENTS], ("tool", "tools.py")]:
        with open(os.path.join(HERE, "standins", source)) as file:
            text = file.read().split("\n", 1)[1]
        path = os.path.join(directory, name)
        with open(path, "w") as file:
            file.write(f"#!{python} -S\n{text}")
        os.chmod(path, 0o755)
    os.symlink(python, os.path.join(directory, "python3"))


def make(name, directory, python):
    # Short and the same for all, so that what is recorded names no directory of this machine.
    work = tempfile.mkdtemp(prefix="w", dir="/tmp")
    os.makedirs(f"{work}/home")
    try:
        about = scenes.SCENES[name]
        if about["prepare"]:
            env = scenes.environment(directory, python)
            subprocess.run(["bash", "-c", about["prepare"]], cwd=work, env={**env, "HOME": f"{work}/home"}, check=True,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        take = scenes.record(name, directory, python, work)
        take.events = [[at, kind, data.replace(work, "/tmp/w")] for at, kind, data in take.events]
        take.save(os.path.join(HERE, "casts"), held_out(name))
        return name, len(take.labels), None
    except Exception as error:  # Told with its name, and the others go on.
        return name, 0, f"{type(error).__name__}: {error}"
    finally:
        shutil.rmtree(work, ignore_errors=True)


def main():
    names = sys.argv[1:] or sorted(scenes.SCENES)
    missing = [name for name in names if any(shutil.which(need) is None for need in scenes.SCENES[name]["needs"])]
    python = os.path.realpath(sys.executable)
    with tempfile.TemporaryDirectory(prefix="b", dir="/tmp") as directory:
        install(directory, python)
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            wanted = [name for name in names if name not in missing]
            made = list(pool.map(lambda name: make(name, directory, python), wanted))
    for name, moments, error in made:
        print(f"{name}: {error or f'{moments} moments'}")
    for name in missing:
        print(f"{name}: skipped, needs {scenes.SCENES[name]['needs']}")
    print(sum(moments for _, moments, _ in made), "moments in", len(made), "recordings")
    sys.exit(any(error for _, _, error in made))


main()
