"""Scenes in which nobody waits for anybody, whatever it looks like."""

from .scenes import scene
from .scenes_programs import begins


def quiet(name, line, moments=5, pause=1.3, keys=(), prepare="", needs=(), columns=80, first=1.0):
    @scene(name, columns=columns, prepare=prepare, needs=needs)
    def play(take):
        begins(take, line)
        take.rest(first)
        for moment in range(moments):
            if moment < len(keys):
                take.type(keys[moment])
            take.quiet(after=pause)


quiet("long-build", "tool cargo", 7)
quiet("long-build-narrow", "tool cargo", 7, columns=44)
quiet("logs-with-questions", "tool logs", 8)
quiet("progress-bar", "tool bars", 4)
quiet("half-lines", "tool half", 4, pause=0.8)
quiet("hostile-bytes", "tool hostile", 4)
quiet("titles-ended-by-bells", "tool titles", 4)
quiet("big-title", "tool bigtitle", 3)
quiet("unterminated-strings", "tool unterminated", 3)
quiet("full-screen-clock", "tool clock", 5)
quiet("flood-of-questions", "tool flood", 3)

QUESTIONS = r"printf 'Do you want to continue? [y/N]\nPassword:\nProceed (Y/n)?\n❯ 1. Yes\n  2. No\n' > q.txt"
quiet("cat-questions", "cat q.txt", 3, prepare=QUESTIONS)
quiet("cat-question-without-end", "cat q.txt", 3, prepare="printf 'Do you want to continue? [y/N] ' > q.txt")
quiet("less-questions", "less q.txt", 5, keys=("j", "G", "\x07", "q"), prepare=QUESTIONS, needs=("less",))
quiet("vim-questions", "vim -u NONE -N q.txt", 6, keys=("j", "G", "oPassword: ", "\x1b\x1b\x1b", ":q!\r"), prepare=QUESTIONS, needs=("vim",))
quiet("vim-insert-question", "vim -u NONE -N", 4, keys=("iDo you want to proceed? (y/n) ", "\x1b", ":q!\r"), needs=("vim",))
quiet("tab-completion-rings", "true", 5, keys=("ls /usr/", "\t", "\t", "xyz\t", "\x15"))
quiet("python-at-its-prompt", "python3 -q", 4, keys=("1 + 1\r", "print('Continue? [y/N]')\r", "print('Password:')\r", "exit()\r"))
quiet("shell-at-its-prompt", "ls", 4, keys=("", "echo 'Are you sure? (yes/no)'\r", "", "pwd\r"), prepare="touch a b c")
quiet("git-log", "git log -p | cat", 3, prepare="git init -q; echo 'Proceed? [y/N]' > f; git add f; git commit -qm 'Do you want to continue?'", needs=("git",))
quiet("grep-questions", "grep -rn 'y/N' .", 3, prepare=QUESTIONS)
quiet("git-editor", "git commit --allow-empty", 4, keys=("", "iDo you want to proceed?", "\x1b:q!\r"),
      prepare="git init -q; git config core.editor 'vim -u NONE -N'", needs=("git", "vim"))
quiet("sleeping", "sleep 20", 4, pause=2.5)
quiet("watching-a-file", "tail -f q.txt", 4, prepare=QUESTIONS)
quiet("npm-run", "npm run build", 4, prepare="""echo '{"scripts": {"build": "for i in 1 2 3 4; do echo step $i: continue? [y/N]; sleep 1; done"}}' > package.json""", needs=("npm",))
quiet("here-document", "cat <<END", 4, keys=("Password:\r", "Do you want to continue? [y/N] \r", "END\r"))
quiet("typing-a-question", "true", 3, keys=("echo 'Do you want to continue? [y/N] ", "", "'\r"))
