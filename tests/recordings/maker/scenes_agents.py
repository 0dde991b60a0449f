"""Scenes with stand-ins for coding agents."""

from .scenes import agent_scene, scene

YES_NO = "Yes|Yes, and don't ask again this session|No, and tell me what to do instead (esc)"


def claude_approvals():
    cases = [
        ("bash", 80, "Bash command\\ncargo test --workspace\\nRun the tests", "Do you want to proceed?", YES_NO, "1"),
        ("edit", 100, "Edit file src/lib.rs\\n- let a = 1;\\n+ let a = 2;", "Do you want to make this edit to lib.rs?", "Yes|Yes, allow all edits during this session|No", "\r"),
        ("create", 80, "Create file notes.md\\n# Notes", "Do you want to create notes.md?", "Yes|Yes, allow all edits during this session|No", "3"),
        ("narrow", 46, "Bash command\\nnpm run build", "Do you want to proceed?", "Yes|No", "2"),
        ("fetch", 120, "Fetch\\nhttps://example.org/api", "Do you want to allow Claude to fetch this content?", "Yes|Yes, and don't ask again for example.org|No, and tell Claude what to do differently (esc)", "\x1b[B"),
        ("plan", 90, "Ready to code?\\n1. Read the parser\\n2. Change the lexer", "Would you like to proceed?", "Yes, and auto-accept edits|Yes, and manually approve edits|No, keep planning", "2"),
    ]
    for name, columns, detail, question, choices, answer in cases:
        steps = ["think:2.5", f"ask:{question}|{detail}|{choices}", "think:2.5", "say:⏺ Done.", "ready"]

        @agent_scene(f"claude-{name}", "claude", steps, columns=columns, rows=30)
        def play(take, answer=answer):
            take.rest(1.6)
            take.label("none", "it works")
            take.asks(r"3?\. No|No, keep", "approval")
            take.type(answer)
            if answer == "\x1b[B":
                take.rest(0.3)
                take.type("\r")
            take.rest(1.6)
            take.label("none", "it was answered and works")
            take.ready()
            take.rest(1.4)
            take.label("done", "it has finished")


claude_approvals()


@agent_scene("claude-two-questions", "claude",
             ["think:2", f"ask:Do you want to proceed?|Bash command\\ngit status|{YES_NO}",
              f"ask:Do you want to proceed?|Bash command\\ngit push --force|{YES_NO}", "think:4", "ready"], rows=30)
def two_questions(take):
    take.asks("git status", "approval", "the first")
    take.type("1")
    take.asks("git push", "approval", "the second, at once after the first")
    take.type("3")
    take.rest(1.6)
    take.label("none", "it works")
    take.ready()
    take.rest(1.5)
    take.label("done")


@agent_scene("claude-moves-in-menu", "claude",
             ["think:1", f"ask:Do you want to proceed?|Bash command\\nmake install|{YES_NO}", "think:3", "ready"], rows=30)
def moves(take):
    take.asks("make install", "approval")
    for _ in range(3):
        take.type("\x1b[B")
        take.rest(0.7)
        take.label("approval", "the marker moves, the question stays")
    take.type("\r")
    take.rest(1.5)
    take.label("none")


@agent_scene("claude-rings", "claude",
             ["title:✳ Fix the parser", "think:2", "bell", f"ask:Do you want to proceed?|Bash command\\nrm -r build|{YES_NO}", "think:3", "bell", "ready"], rows=30)
def rings(take):
    take.asks("rm -r build", "approval", "it rang first, then asked")
    take.type("1")
    take.rest(1.6)
    take.label("none")
    take.ready()
    take.rest(1.4)
    take.label("done", "it rang and has nothing to do")


@agent_scene("claude-notices", "claude",
             ["think:2", "passed:Claude needs your permission to use Bash", f"ask:Do you want to proceed?|Bash command\\nls -la|{YES_NO}", "think:3", "passed:Claude is waiting for your input", "ready"], rows=28)
def notices(take):
    take.asks("ls -la", "approval")
    take.type("1")
    take.rest(1.6)
    take.label("none")
    take.ready()
    take.rest(1.4)
    take.label("input|done", "it said that it waits, and has finished")


@agent_scene("claude-idle", "claude", ["ready", "think:5", "ready", "think:1", "ready"], rows=24)
def idle(take):
    take.ready()
    take.quiet("nothing was asked of it yet")
    take.type("explain the parser\r")
    take.rest(2.5)
    take.label("none", "it works")
    take.rest(1.5)
    take.label("none", "it still works")
    take.ready()
    take.rest(3)
    take.label("done", "it has finished")
    take.type("thanks")
    take.rest(1.5)
    take.label("none", "somebody types")


@agent_scene("claude-quotes-a-menu", "claude",
             ["think:1.5", "stream:The dialog asks \"Do you want to proceed?\" and offers:\\n❯ 1. Yes\\n  2. No\\nI will now change how it is drawn.", "think:5",
              "say:⏺ Read(src/menu.rs)\n  Do you want to proceed?\n  1. Yes\n  2. No", "think:4"], rows=30)
def quotes(take):
    take.expect("how it is drawn")
    for _ in range(3):
        take.quiet("it only speaks of a menu", after=1.2)
    take.expect("Read")
    take.quiet("a file with a menu was read", after=1.5)
    take.quiet("it works", after=1.0)


@agent_scene("claude-long-think", "claude", ["title:⠂ Refactor", "think:9", "title:✳ Refactor", "ready"], rows=24)
def long_think(take):
    for _ in range(4):
        take.quiet("it thinks", after=1.8)
    take.ready()
    take.rest(3.5)
    take.label("done")


@agent_scene("claude-trust", "claude",
             ["ask:Do you trust the files in this folder?|/tmp/w\\nClaude may read, write and run files here|Yes, proceed|No, exit", "ready"], rows=24)
def trust(take):
    take.asks("trust the files", "approval")
    take.type("1")
    take.ready()
    take.rest(1.5)
    take.label("none", "there was no work yet")


@agent_scene("claude-resized", "claude",
             ["think:2", f"ask:Do you want to proceed?|Bash command\\npytest -q|{YES_NO}", "think:3", "ready"], columns=100, rows=30)
def resized(take):
    take.asks("pytest", "approval")
    take.resize(70, 30)
    take.rest(1.2)
    take.label("approval", "the window is smaller")
    take.type("1")
    take.rest(1.6)
    take.label("none")


def codex():
    cases = [
        ("command", "Allow command?", "git commit -am fix", "Yes, proceed (y)|Yes, and don't ask again this session (a)|No, and tell Codex what to do (esc)", "y"),
        ("network", "Would you like to run the following command?", "curl https://example.org", "Yes, proceed (y)|No, and tell Codex what to do differently (esc)", "\r"),
        ("patch", "Would you like to make the following edits?", "src/main.rs (+3 -1)", "Yes, proceed (y)|Yes, and don't ask again for these files (a)|No, and tell Codex what to do differently (esc)", "n"),
        ("wide", "Allow command?", "docker compose up -d --build && docker compose logs", "Yes, proceed (y)|No (n)", "1"),
    ]
    for name, question, detail, choices, answer in cases:
        steps = ["think:2.5", f"ask:{question}|{detail}|{choices}", "think:3", "say:• Done", "ready"]

        @agent_scene(f"codex-{name}", "codex", steps, columns=90, rows=26)
        def play(take, answer=answer):
            take.rest(1.5)
            take.label("none", "it works")
            take.asks("Press Enter", "approval")
            take.type(answer)
            take.rest(1.6)
            take.label("none", "it works again")
            take.ready()
            take.rest(1.5)
            take.label("done|none", "it may be told that it is done")


codex()


@agent_scene("codex-osc9", "codex",
             ["think:2", "osc:Approval requested: cargo fmt", "ask:Allow command?|cargo fmt|Yes, proceed (y)|No (n)", "think:3", "osc:Agent turn complete", "ready"], columns=90, rows=26)
def codex_osc(take):
    take.asks("cargo fmt", "approval")
    take.type("y")
    take.rest(1.6)
    take.label("none")
    take.ready()
    take.rest(1.4)
    take.label("done")
    take.rest(1)
    take.label("done")


def gemini():
    cases = [
        ("shell", "npm install", "Allow execution of: 'npm'?", "Yes, allow once|Yes, allow always|No, suggest changes (esc)"),
        ("edit", "index.html", "Apply this change?", "Yes, allow once|Yes, allow always|Modify with external editor|No, suggest changes (esc)"),
        ("small", "ls", "Allow execution of: 'ls'?", "Yes, allow once|No (esc)"),
    ]
    for name, detail, question, choices in cases:
        steps = ["think:2.5", f"ask:{question}|{detail}|{choices}", "think:3", "say:✦ Done.", "ready"]

        @agent_scene(f"gemini-{name}", "gemini", steps, columns=84, rows=30)
        def play(take):
            take.rest(1.5)
            take.label("none", "it works")
            take.asks(r"No[, ]", "approval")
            take.type("1")
            take.rest(1.6)
            take.label("none")


gemini()


def aider():
    cases = [
        ("add", "Add src/app.py to the chat?", "The file was mentioned.", "(Y)es/(N)o/(D)on't ask again [Yes]", "y\r"),
        ("run", "Run shell command?", "python -m pytest", "(Y)es/(N)o/(D)on't ask again [Yes]", "n\r"),
        ("create", "Create new file?", "docs/index.md", "(Y)es/(N)o [Yes]", "\r"),
        ("url", "Add URL to the chat?", "https://example.org/docs", "(Y)es/(N)o/(A)ll/(S)kip all/(D)on't ask again [Yes]", "y\r"),
    ]
    for name, question, detail, choices, answer in cases:
        steps = ["think:2.5", f"ask:{question}|{detail}|{choices}", "think:3", "say:Applied edit to app.py", "ready"]

        @agent_scene(f"aider-{name}", "aider", steps)
        def play(take, answer=answer):
            take.rest(1.5)
            take.label("none", "it works")
            take.asks(r"\[Yes\]: ", "approval")
            take.type(answer)
            take.rest(1.6)
            take.label("none")


aider()


@agent_scene("opencode-permission", "opencode",
             ["think:2", "ask:Permission required|git push origin main|Allow once|Allow always|Reject", "think:3", "ready"], rows=26)
def opencode(take):
    take.rest(1.4)
    take.label("none", "it works")
    take.asks("enter confirm", "approval")
    take.type("\r")
    take.rest(1.6)
    take.label("none")


@agent_scene("opencode-edit", "opencode",
             ["think:2", "ask:Permission required|edit src/main.ts|Allow once|Allow always|Reject", "think:3", "ready"], columns=100, rows=30)
def opencode_edit(take):
    take.rest(1.4)
    take.label("none", "it works")
    take.asks("enter confirm", "approval")
    take.type("\r")
    take.rest(1.6)
    take.label("none")


@agent_scene("agent-fails", "claude", ["progress:3", "think:3", "progress:2", "say:⏺ API error", "pause:4"], rows=24)
def fails(take):
    take.rest(2)
    take.label("none", "it works")
    take.expect("API error")
    take.rest(1.2)
    take.label("failed")
    take.rest(1)
    take.label("failed")
