"""A terminal with a program in it, for tests: what a user would type, and what a user would see."""

import os
import shutil
import subprocess
import tempfile
import uuid

from waiting import wait_for

PATIENCE_S = 60


class Terminal:
    """A terminal of the given size, by a tmux of its own; the program has no other variables."""

    def __init__(self, command, variables, columns=80, rows=24):
        if shutil.which("tmux") is None:
            raise RuntimeError("tmux is missing; on Debian: apt-get install tmux")
        self._directory = tempfile.TemporaryDirectory(prefix="fathom-tmux-")
        settings = os.path.join(self._directory.name, "tmux.conf")
        with open(settings, "w", encoding="ascii") as file:
            file.write("set -g remain-on-exit on\nset -g history-limit 5000\nset -s escape-time 0\n")
        socket = os.path.join(self._directory.name, "socket")
        self._tmux = ["tmux", "-u", "-S", socket, "-f", settings]
        assignments = [f"{name}={value}" for name, value in variables.items()]
        size = ["-x", str(columns), "-y", str(rows)]
        # tmux 3.3 at times forgets the code of a program that has ended.
        self._code = os.path.join(self._directory.name, "code")
        keep = 'trap : INT TERM; "$@"; echo $? > "$0.new"; mv "$0.new" "$0"'
        program = ["env", "-i", *assignments, *command]
        self._run("new-session", "-d", *size, "sh", "-c", keep, self._code, *program)

    def close(self):
        """Ends the program, if it has not ended."""
        self._run("kill-server")
        self._directory.cleanup()

    def _run(self, *command):
        environment = {**os.environ, "LC_ALL": "C.UTF-8"}
        environment.pop("TMUX", None)
        done = subprocess.run(
            [*self._tmux, *command],
            env=environment,
            capture_output=True,
            encoding="utf-8",
            timeout=PATIENCE_S,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"tmux {command[0]}: {done.stderr}")
        return done.stdout

    def type(self, text):
        """Types characters."""
        self._run("send-keys", "-l", "--", text)

    def press(self, *keys):
        """Presses keys by tmux's names: Enter, Left, BSpace, C-a, M-Enter."""
        self._run("send-keys", *keys)

    def enter(self, text):
        self.type(text)
        self.press("Enter")

    def paste(self, text):
        """Pastes, in brackets where the program asked for them."""
        file = os.path.join(self._directory.name, uuid.uuid4().hex)
        with open(file, "w", encoding="utf-8") as out:
            out.write(text)
        self._run("load-buffer", "-b", "paste", file)
        self._run("paste-buffer", "-p", "-d", "-b", "paste")

    def resize(self, columns, rows):
        self._run("resize-window", "-x", str(columns), "-y", str(rows))

    def screen(self):
        """What is seen, without blanks at the ends of lines."""
        return self._run("capture-pane", "-p").rstrip("\n")

    def everything(self):
        """What is seen, and what has gone off above."""
        return self._run("capture-pane", "-p", "-S", "-").rstrip("\n")

    def child(self):
        """The id of the only process that the program, a shell, has started."""
        child = self._run("display", "-p", "#{pane_pid}").strip()
        for _ in range(2):
            with open(f"/proc/{child}/task/{child}/children", encoding="ascii") as file:
                (child,) = file.read().split()
        return int(child)

    def wait_for_text(self, *texts):
        """Until all of them were on the screen at once; the screen then."""
        def shown():
            screen = self.screen()
            return screen if all(text in screen for text in texts) else None

        return wait_for(f"{texts} on the screen", shown, PATIENCE_S, self.everything)

    def wait_for_last_line(self, line):
        """Until the last line that is not empty is this; blanks at its end do not count."""
        def is_last():
            lines = self.screen().splitlines()
            return bool(lines) and lines[-1].rstrip() == line

        wait_for(f"the last line {line!r}", is_last, PATIENCE_S, self.everything)

    def wait_for_column(self, column):
        """Until the cursor is there, from 0."""
        def there():
            return self._run("display", "-p", "#{cursor_x}").strip() == str(column)

        wait_for(f"the cursor at {column}", there, PATIENCE_S, self.screen)

    def wait_for_end(self):
        """Until the program has ended; its exit code."""
        def code():
            if not os.path.exists(self._code):
                return None
            with open(self._code, encoding="ascii") as file:
                return file.read()

        return int(wait_for("the program's end", code, PATIENCE_S, self.everything))
