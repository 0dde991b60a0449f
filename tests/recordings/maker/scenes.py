"""What a scene is, and the shell that most of them begin in."""

import json

from .recorder import WORK, Take

SCENES = {}


def environment(bin_directory, python):
    return {
        "PATH": f"{bin_directory}:/usr/local/bin:/usr/bin:/bin",
        "HOME": f"{WORK}/home",
        "TERM": "tmux-256color",
        "LANG": "C.UTF-8",
        "PS1": "$ ",
        "PYTHON": python,
        "GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@example.org",
        "GIT_COMMITTER_NAME": "A", "GIT_COMMITTER_EMAIL": "a@example.org",
        "GIT_CONFIG_NOSYSTEM": "1",
        "npm_config_update_notifier": "false", "npm_config_fund": "false", "npm_config_audit": "false",
    }


def scene(name, columns=80, rows=24, prepare="", needs=()):
    """A scene that is played in a shell. `prepare` is a script that runs before, unseen."""
    def add(play):
        SCENES[name] = {"play": play, "columns": columns, "rows": rows, "prepare": prepare, "needs": needs, "steps": None}
        return play
    return add


def agent_scene(name, program, steps, columns=80, rows=24):
    """A scene that begins with a stand-in for a coding agent, started from a shell."""
    def add(play):
        def begin(take):
            take.expect(r"\$ ")
            take.rest(0.4)
            take.type(program + "\r")
            play(take)
        SCENES[name] = {"play": begin, "columns": columns, "rows": rows, "prepare": "", "needs": (), "steps": steps}
        return play
    return add


def record(name, bin_directory, python, work):
    about = SCENES[name]
    env = environment(bin_directory, python)
    env["HOME"] = f"{work}/home"
    if about["steps"] is not None:
        env["STEPS"] = json.dumps(about["steps"])
    take = Take(name, ["bash", "--norc", "--noprofile", "-i"], about["columns"], about["rows"], env, work)
    try:
        about["play"](take)
        take.rest(0.3)
    finally:
        take.finish()
    return take
