#!/usr/bin/env python3
"""`fathom chat` as a user finds it: typed at in a terminal (tmux), piped, and asked once.

Answers come from the embedded model; where a test must know what was sent, or when an answer ends,
from a server of its own.
"""

import http.server
import json
import os
import signal
import stat
import subprocess
import tempfile
import threading
import unittest

import server as fathom
from terminal import Terminal
from waiting import wait_for

MODEL = os.path.join(fathom.REPOSITORY, "models", "tiny")
KEY = "sk-0123456789abcdef"
HOW_TO_LEAVE = "Ctrl-D or /quit leaves"
PATIENCE_S = 60


class FakeServer:
    """Thinks "let me see" and answers "heard: LAST LINE"; some words have answers of their own."""

    def __init__(self):
        self.requests = []  # bodies
        self.may_end = threading.Event()  # the answer to "wait"
        self.client_gone = threading.Event()  # that of "endless"
        handler = type("Handler", (_FakeHandler,), {"fake": self})
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()

    def last_messages(self):
        return [(message["role"], message["content"]) for message in self.requests[-1]["messages"]]


class _FakeHandler(http.server.BaseHTTPRequestHandler):
    fake = None

    def log_message(self, *_):
        pass

    def do_GET(self):
        body = json.dumps({"data": [{"id": "fake"}]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.fake.requests.append(body)
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self.answer(body["messages"][-1]["content"])

    def answer(self, words):
        if words == "endless":
            self.send({"content": "It begins"})
            try:
                self.rfile.read(1)  # returns when the client has closed
            finally:
                self.fake.client_gone.set()
        elif words == "wait":
            self.send({"content": "It begins"})
            self.fake.may_end.wait(PATIENCE_S)
            self.send({"content": " and ends"}, "stop")
        elif words == "cut":
            self.send({"content": "It begins"}, "length")
        elif words == "controls":
            self.send({"content": "a\x1b[31mb\x07\u009bc"}, "stop")
        elif words == "broken":
            self.send({"content": "It begins"})
            self.event({"error": {"message": "the chip is on fire"}})
        else:
            self.send({"reasoning_content": "\nlet me see\n"})
            self.send({"reasoning_content": "\n"})
            self.send({"content": "\n\nheard: " + words.splitlines()[-1]})
            self.send({"content": "\n"}, "stop")

    def send(self, delta, finish_reason=None):
        self.event({"choices": [{"delta": delta, "finish_reason": finish_reason}]})

    def event(self, value):
        self.wfile.write(b"data: " + json.dumps(value).encode() + b"\n\n")


class ChatCase(unittest.TestCase):
    def setUp(self):
        home = tempfile.TemporaryDirectory(prefix="fathom-home-")
        self.addCleanup(home.cleanup)
        self.home = home.name
        self.history = os.path.join(self.home, ".local", "state", "fathom", "history")

    def variables(self, **more):
        """Those of a process that talks, with a home of its own."""
        return {"HOME": self.home, "PATH": os.environ["PATH"], "LANG": "C", **more}

    def start(self, command, columns=80, rows=24, **more):
        """A terminal with a program in it; `more`: variables of its process."""
        variables = self.variables(**{"TERM": "xterm-256color", **more})
        terminal = Terminal(command, variables, columns, rows)
        self.addCleanup(terminal.close)
        return terminal

    def chat(self, url, *flags, **more):
        """A terminal with a conversation, at its first prompt."""
        command = [fathom.fathom_binary(), "chat", "--url", url, "--temperature", "0", *flags]
        terminal = self.start(command, **more)
        terminal.wait_for_text("/help")
        terminal.wait_for_last_line(">")
        return terminal

    def ask(self, *arguments, text="", **more):
        """Runs the chat without a terminal, and gives it text on standard input."""
        return subprocess.run(
            [fathom.fathom_binary(), "chat", *arguments],
            input=text,
            env=self.variables(**more),
            capture_output=True,
            encoding="utf-8",
            timeout=PATIENCE_S,
            check=False,
        )


class Editing(ChatCase):
    """What is seen while typing is what is sent."""

    @classmethod
    def setUpClass(cls):
        cls.server = cls.enterClassContext(FakeServer())

    def press_enter(self, terminal, words):
        """Enter sends exactly these words, and the next prompt comes."""
        asked = len(self.server.requests)
        terminal.press("Enter")
        terminal.wait_for_text("heard: " + words.splitlines()[-1][:20])
        terminal.wait_for_last_line(">")
        self.assertEqual(len(self.server.requests), asked + 1)
        self.assertEqual(self.server.last_messages()[-1], ("user", words))

    def test_in_the_middle_of_a_line(self):
        terminal = self.chat(self.server.url)
        terminal.type("ne two thre")
        terminal.press("Home")
        terminal.type("o")
        terminal.press("End")
        terminal.type("e")
        terminal.wait_for_last_line("> one two three")
        terminal.press(*["Left"] * 5, "BSpace", "BSpace", "BSpace", "DC")
        terminal.wait_for_last_line("> one three")
        self.press_enter(terminal, "one three")

    def test_by_control_keys(self):
        terminal = self.chat(self.server.url)
        terminal.type("c d")
        terminal.press("C-a")
        terminal.type("a b ")
        terminal.press("C-e")
        terminal.type(" e f")
        terminal.press("C-w")
        terminal.wait_for_last_line("> a b c d e")
        terminal.press("Left", "Left", "C-u")
        terminal.wait_for_last_line("> e")
        terminal.press("C-e", "C-y")
        terminal.type(".")
        terminal.wait_for_last_line("> e a b c d .")
        terminal.press("C-Left", "C-k")
        terminal.type("!")
        self.press_enter(terminal, "e a b c d !")

    def test_chinese(self):
        terminal = self.chat(self.server.url)
        terminal.type("你们好世界")
        terminal.wait_for_column(12)
        terminal.press("Left", "Left", "Left", "BSpace")
        terminal.wait_for_last_line("> 你好世界")
        terminal.wait_for_column(4)
        terminal.press("End", "BSpace", "BSpace")
        terminal.wait_for_last_line("> 你好")
        terminal.wait_for_column(6)
        terminal.type("吗")
        self.press_enter(terminal, "你好吗")

    def test_characters_of_several_parts(self):
        terminal = self.chat(self.server.url)
        terminal.type("สวัสดี e\u0301")
        terminal.press("Home", "End", "BSpace")
        terminal.wait_for_last_line("> สวัสดี")
        terminal.type("ok")
        self.press_enter(terminal, "สวัสดี ok")

    def test_lines_wider_than_the_screen(self):
        terminal = self.chat(self.server.url, columns=40)
        terminal.enter("/help")  # rows above, for what a narrower screen needs more of
        terminal.wait_for_text("Ctrl-C stops")
        terminal.wait_for_last_line(">")
        words = "0123456789" * 9 + "!"
        terminal.type(words)
        terminal.wait_for_last_line("  " + words[74:])
        terminal.press("Up", "Up", "Home", "DC")
        words = words[1:]
        terminal.wait_for_text(f"> {words[:37]}\n  {words[37:74]}\n  {words[74:]}")
        terminal.resize(60, 24)
        terminal.press("End")
        terminal.type("?")
        words += "?"
        terminal.wait_for_text(f"> {words[:57]}\n  {words[57:]}")
        terminal.resize(30, 24)
        terminal.press("BSpace")
        words = words[:-1]
        cut = [words[i : i + 27] for i in range(0, len(words), 27)]
        terminal.wait_for_text("> " + "\n  ".join(cut))
        self.assertEqual(terminal.everything().count("> 12345"), 1)
        self.press_enter(terminal, words)

    def test_several_lines(self):
        terminal = self.chat(self.server.url)
        terminal.enter("one\\")
        terminal.type("two")
        terminal.press("M-Enter")
        terminal.type("three")
        terminal.wait_for_text("> one\n  two\n  three")
        terminal.press("Up", "Up", "End")
        terminal.type("!")
        terminal.wait_for_text("> one!\n  two\n  three")
        self.press_enter(terminal, "one!\ntwo\nthree")

    def test_a_text_taller_than_the_screen(self):
        terminal = self.chat(self.server.url, rows=12)
        lines = [f"line {i}" for i in range(30)]
        terminal.paste("\n".join(lines))
        terminal.wait_for_text("(20 more rows above)\n  line 20\n", "line 29")
        terminal.press(*["Up"] * 29)
        terminal.wait_for_text("> line 0\n  line 1\n", "line 9\n  (20 more rows below)")
        terminal.press("Home")
        terminal.type("first: ")
        terminal.wait_for_text("> first: line 0\n  line 1\n")
        self.press_enter(terminal, "first: " + "\n".join(lines))

    def test_a_paste_is_one_message(self):
        terminal = self.chat(self.server.url)
        pasted = "".join(f"{i}: the quick brown fox\n" for i in range(2000))[:20000]
        asked = len(self.server.requests)
        terminal.type("Look: ")
        terminal.paste(pasted)
        terminal.wait_for_text("more rows above", pasted.splitlines()[-1])
        self.assertEqual(len(self.server.requests), asked)
        terminal.type(" What is it?")
        self.press_enter(terminal, "Look: " + pasted + " What is it?")
        self.assertIn("> Look: 0: the quick brown fox\n  1: the", terminal.everything())

    def test_a_paste_can_be_changed(self):
        terminal = self.chat(self.server.url)
        terminal.paste("one\n\ttwo\nthree\n")
        terminal.press("BSpace")
        terminal.wait_for_text("> one\n      two\n  three")
        self.press_enter(terminal, "one\n\ttwo\nthree")

    def test_a_terminal_without_a_cursor(self):
        terminal = self.chat(self.server.url, TERM="dumb")
        terminal.enter("one\\")
        terminal.type("two")
        self.press_enter(terminal, "one\ntwo")
        terminal.press("C-c")
        terminal.wait_for_text(HOW_TO_LEAVE)
        terminal.press("C-d")
        self.assertEqual(terminal.wait_for_end(), 0)


class History(ChatCase):
    @classmethod
    def setUpClass(cls):
        cls.server = cls.enterClassContext(FakeServer())

    def test_is_there_at_the_next_start(self):
        terminal = self.chat(self.server.url)
        terminal.enter("the first")
        terminal.wait_for_text("heard: the first")
        terminal.enter("two\\")
        terminal.enter("lines, \\\\ and 你好")
        terminal.wait_for_text("heard: lines")
        terminal.wait_for_last_line(">")
        terminal.press("C-d")
        self.assertEqual(terminal.wait_for_end(), 0)
        self.assertEqual(stat.S_IMODE(os.stat(self.history).st_mode), 0o600)

        terminal = self.chat(self.server.url)
        terminal.type("begun")
        terminal.press("Up")
        terminal.wait_for_text("> two\n  lines, \\\\ and 你好")
        terminal.press("Up")
        terminal.wait_for_last_line("> the first")
        terminal.press("Up", "Down", "Down")
        terminal.wait_for_last_line("> begun")
        terminal.press("C-p", "Enter")
        terminal.wait_for_text("heard: lines")
        self.assertEqual(self.server.last_messages(), [("user", "two\nlines, \\\\ and 你好")])

    def test_has_a_place_of_its_own(self):
        state = os.path.join(self.home, "state")
        terminal = self.chat(self.server.url, XDG_STATE_HOME=state)
        terminal.enter("hello")
        terminal.wait_for_text("heard: hello")
        with open(os.path.join(state, "fathom", "history"), encoding="utf-8") as file:
            self.assertEqual(file.read(), "hello\n")
        self.assertFalse(os.path.exists(self.history))

    def test_is_of_terminals_only(self):
        self.assertEqual(self.ask("--url", self.server.url, text="hello").returncode, 0)
        self.assertFalse(os.path.exists(self.history))

    def test_says_once_that_it_cannot_be_kept(self):
        with open(os.path.join(self.home, ".local"), "w", encoding="ascii"):
            pass  # a file where a directory should be
        terminal = self.chat(self.server.url)
        terminal.enter("one")
        terminal.wait_for_text("the history is not kept: ", "heard: one")
        terminal.enter("two")
        terminal.wait_for_text("heard: two")
        terminal.wait_for_last_line(">")
        self.assertEqual(terminal.everything().count("not kept"), 1)


class Conversation(ChatCase):
    @classmethod
    def setUpClass(cls):
        cls.server = cls.enterClassContext(FakeServer())

    def test_ctrl_c_at_the_prompt_clears_it(self):
        terminal = self.chat(self.server.url)
        terminal.enter("one\\")
        terminal.type("two")
        terminal.press("C-c")
        terminal.wait_for_last_line(">")
        self.assertNotIn("two", terminal.screen())
        self.assertNotIn(HOW_TO_LEAVE, terminal.screen())
        terminal.press("C-c")
        terminal.wait_for_text(HOW_TO_LEAVE)
        terminal.wait_for_last_line(">")
        terminal.enter("hello")
        terminal.wait_for_text("heard: hello")

    def test_ctrl_c_stops_an_answer(self):
        terminal = self.chat(self.server.url)
        terminal.enter("endless")
        terminal.wait_for_text("It begins")
        terminal.type("lost")
        terminal.press("C-c")
        terminal.wait_for_text("It begins\nstopped")
        terminal.wait_for_last_line(">")
        self.assertTrue(self.server.client_gone.wait(PATIENCE_S))
        terminal.enter("hello")
        terminal.wait_for_text("heard: hello")
        self.assertEqual(
            self.server.last_messages(),
            [("user", "endless"), ("assistant", "It begins"), ("user", "hello")],
        )

    def test_what_is_typed_while_an_answer_comes_is_kept(self):
        terminal = self.chat(self.server.url)
        self.server.may_end.clear()
        terminal.enter("wait")
        terminal.wait_for_text("It begins")
        terminal.enter("hello")
        terminal.paste("one\ntwo\n" * 2000 + "three")
        self.assertNotIn("hello", terminal.screen())
        self.server.may_end.set()
        terminal.wait_for_text("heard: hello")
        terminal.wait_for_last_line("  three")
        terminal.press("Enter")
        terminal.wait_for_text("heard: three")
        self.assertEqual(self.server.last_messages()[-1], ("user", "one\ntwo\n" * 2000 + "three"))

    def test_ends(self):
        for keys in (["C-d"], ["/", "q", "u", "i", "t", "Enter"]):
            terminal = self.chat(self.server.url)
            terminal.type("x")
            terminal.press("C-d")  # deletes what is right of the cursor: nothing
            terminal.wait_for_last_line("> x")
            terminal.press("BSpace", *keys)
            self.assertEqual(terminal.wait_for_end(), 0)

    def test_leaves_the_terminal_as_it_was(self):
        chat = f"{fathom.fathom_binary()} chat --url {self.server.url}"
        for how, code in (("C-d", 0), (signal.SIGTERM, 128 + signal.SIGTERM)):
            # The shell's own process group is the chat's: a signal to it must not end the shell.
            script = f"stty -g; {chat}; echo ended with $?; stty -g; exec sleep 1000"
            terminal = self.start(["sh", "-c", script])
            terminal.wait_for_text("/help")
            terminal.wait_for_last_line(">")
            if how == "C-d":
                terminal.press(how)
            else:
                os.kill(terminal.child(), how)
            terminal.wait_for_text(f"ended with {code}")

            def modes():
                return [line for line in terminal.everything().split("\n") if line.count(":") > 10]

            wait_for("modes again", lambda: len(modes()) == 2, PATIENCE_S, terminal.everything)
            self.assertEqual(*modes())

    def test_commands(self):
        terminal = self.chat(self.server.url)
        terminal.enter("/help")
        terminal.wait_for_text("/system [TEXT]", "/save FILE", "/reset", "/quit", "//text")
        terminal.enter("/system")
        terminal.wait_for_text("no system prompt; /system TEXT gives one")
        terminal.enter("hello")
        terminal.wait_for_text("heard: hello")
        terminal.enter("/system Be brief.")
        terminal.wait_for_text("the conversation begins anew")
        terminal.enter("/system")
        terminal.wait_for_text("\nBe brief.")
        terminal.enter("one")
        terminal.wait_for_text("heard: one")
        self.assertEqual(self.server.last_messages(), [("system", "Be brief."), ("user", "one")])
        terminal.enter("two")
        terminal.wait_for_text("heard: two")
        self.assertEqual(len(self.server.last_messages()), 4)
        terminal.enter("/reset")
        terminal.wait_for_text("forgotten, but for the system prompt")
        terminal.enter("/think")
        terminal.wait_for_text("it answers without thinking")
        terminal.enter("three")
        terminal.wait_for_text("heard: three")
        self.assertEqual(self.server.last_messages(), [("system", "Be brief."), ("user", "three")])
        self.assertEqual(self.server.requests[-1]["thinking"], {"type": "disabled"})

    def test_slips_of_the_hand_are_not_sent(self):
        terminal = self.chat(self.server.url)
        asked = len(self.server.requests)
        terminal.enter("/rest")
        terminal.wait_for_text("no command /rest; did you mean /reset?")
        terminal.wait_for_last_line(">")
        self.assertEqual(len(self.server.requests), asked)
        terminal.enter("//rest")
        terminal.wait_for_text("heard: /rest")
        self.assertEqual(self.server.last_messages(), [("user", "/rest")])

    def test_save(self):
        terminal = self.chat(self.server.url)
        terminal.enter("/save ~/talk.md")
        terminal.wait_for_text("nothing to save yet")
        terminal.enter("hello")
        terminal.wait_for_text("heard: hello")
        terminal.enter("/save ~/talk.md")
        terminal.wait_for_text("saved to ~/talk.md")
        with open(os.path.join(self.home, "talk.md"), encoding="utf-8") as file:
            self.assertIn("## You\n\nhello\n\n## fake\n\n>\n> let me see", file.read())
        terminal.enter("/save ~/talk.json")
        terminal.wait_for_text("saved to ~/talk.json")
        with open(os.path.join(self.home, "talk.json"), encoding="utf-8") as file:
            saved = json.load(file)
        self.assertEqual([m["role"] for m in saved["messages"]], ["user", "assistant"])
        terminal.enter("/save ~/talk.json")
        terminal.wait_for_text("talk.json exists and is left as it is")
        terminal.enter("/save talk")
        terminal.wait_for_text("expected a name that ends in .md or .json")

    def test_shows_thoughts_and_what_went_wrong(self):
        terminal = self.chat(self.server.url)
        terminal.enter("hello")
        terminal.wait_for_text("> hello\nlet me see\n\nheard: hello\n")
        terminal.enter("controls")
        terminal.wait_for_text("\na[31mbc\n")  # the terminal was told nothing
        terminal.enter("cut")
        terminal.wait_for_text("It begins\ncut off")
        terminal.enter("broken")
        terminal.wait_for_text("It begins\nthe chip is on fire")


class AnsweredOnce(ChatCase):
    @classmethod
    def setUpClass(cls):
        cls.server = cls.enterClassContext(FakeServer())

    def expect(self, done, code, out, *complaints):
        self.assertEqual((done.returncode, done.stdout), (code, out), done.stderr)
        for complaint in complaints:
            self.assertIn(complaint, done.stderr)
        if not complaints:
            self.assertEqual(done.stderr, "")

    def test_asked_by_argument_by_pipe_and_by_both(self):
        to = ["--url", self.server.url]
        self.expect(self.ask(*to, "one", "two"), 0, "heard: one two\n")
        self.expect(self.ask(*to, text="three\n"), 0, "heard: three\n")
        self.assertEqual(self.server.last_messages(), [("user", "three")])
        self.expect(self.ask(*to, "What is it?", text="four\nfive\n"), 0, "heard: five\n")
        self.assertEqual(self.server.last_messages(), [("user", "What is it?\n\nfour\nfive")])
        self.expect(self.ask(*to, "--system", "Be brief.", "/help me"), 0, "heard: /help me\n")
        self.assertEqual(self.server.last_messages(), [("system", "Be brief."), ("user", "/help me")])
        self.expect(self.ask(*to, "--", "--help"), 0, "heard: --help\n")
        self.expect(self.ask(*to, "serve"), 0, "heard: serve\n")

    def test_shows_the_thought_where_it_is_asked_for(self):
        to = ["--url", self.server.url, "hello"]
        self.expect(self.ask(*to), 0, "heard: hello\n")
        self.assertEqual(self.server.requests[-1]["thinking"], {"type": "enabled"})
        self.expect(self.ask(*to, "--thinking"), 0, "let me see\n\nheard: hello\n")
        self.expect(self.ask(*to, "--no-thinking"), 0, "heard: hello\n")
        self.assertEqual(self.server.requests[-1]["thinking"], {"type": "disabled"})

    def test_in_a_terminal(self):
        chat = f"{fathom.fathom_binary()} chat --url {self.server.url}"
        terminal = self.start(["sh", "-c", f"{chat} hello; echo ended with $?; exec sleep 1000"])
        terminal.wait_for_text("let me see\n\nheard: hello\nended with 0")
        terminal = self.start(["sh", "-c", f"{chat} > {self.home}/out; exec sleep 1000"])
        terminal.wait_for_text("fathom: chat: a conversation needs a terminal to write to")

    def test_ctrl_c(self):
        command = [fathom.fathom_binary(), "chat", "--url", self.server.url, "endless"]
        asked = len(self.server.requests)
        with subprocess.Popen(
            command, env=self.variables(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
        ) as chat:
            wait_for("the question", lambda: len(self.server.requests) > asked, PATIENCE_S)
            self.assertEqual(os.read(chat.stdout.fileno(), 100), b"It begins")
            chat.send_signal(signal.SIGINT)
            self.assertEqual(chat.stdout.read(), b"\n")
            self.assertEqual(chat.wait(PATIENCE_S), 130)

    def test_what_goes_wrong(self):
        to = ["--url", self.server.url]
        self.expect(self.ask(*to, "broken"), 1, "It begins\n", "fathom: the chip is on fire\n")
        self.expect(self.ask(*to, "cut"), 0, "It begins\n", "fathom: cut off: --max-tokens")
        self.expect(self.ask(*to), 2, "", "fathom: chat: expected a question")
        self.expect(self.ask(*to, "", text=" \n"), 2, "", "expected a question")
        self.expect(self.ask("--url", "ftp://x", "hello"), 2, "", "fathom: --url: ")
        self.expect(self.ask("--temperature", "9", "hello"), 2, "", "--temperature", "--help")
        self.expect(self.ask("--thinkng", "hello"), 2, "", "did you mean --thinking?")
        self.expect(self.ask("--model", "/nowhere", "hello"), 1, "", "fathom: ", "/nowhere")

    def test_a_full_disk(self):
        with open("/dev/full", "wb") as full:
            done = subprocess.run(
                [fathom.fathom_binary(), "chat", "--url", self.server.url, "hello"],
                stdin=subprocess.DEVNULL,
                stdout=full,
                stderr=subprocess.PIPE,
                env=self.variables(),
                timeout=PATIENCE_S,
                check=False,
            )
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"standard output cannot be written to", done.stderr)

    def test_nobody_there(self):
        with FakeServer() as server:
            url = server.url
        done = self.ask("--url", url, "hello")
        self.expect(done, 1, "", "connection refused", "fathom serve --model DIR", "--url")

    def test_somebody_else_there(self):
        class Page(_FakeHandler):
            def answer(self, words):
                self.wfile.write(b"<html></html>")

        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as page:
            page.fake = None
            Page.fake = self.server
            threading.Thread(target=page.serve_forever, daemon=True).start()
            done = self.ask("--url", f"http://127.0.0.1:{page.server_port}", "hello")
            page.shutdown()
        self.expect(done, 1, "", "does --url name a server of the OpenAI API?")


class EmbeddedModel(ChatCase):
    """Real answers, of a real server."""

    @classmethod
    def setUpClass(cls):
        cls.server = cls.enterClassContext(fathom.Server(MODEL))

    def test_a_conversation(self):
        terminal = self.chat(self.server.url)
        terminal.type("What is 13 + 456?")
        terminal.press(*["Left"] * 8)
        terminal.type("2")
        terminal.wait_for_last_line("> What is 123 + 456?")
        terminal.press("Enter")
        terminal.wait_for_text("579", "tokens, ")
        terminal.wait_for_last_line(">")
        terminal.enter("/reset")
        terminal.type("710+724 是多少吗")
        terminal.press("BSpace")
        terminal.enter("？")
        terminal.wait_for_text("1434")
        terminal.wait_for_last_line(">")
        terminal.press("C-d")
        self.assertEqual(terminal.wait_for_end(), 0)

    def test_once(self):
        asked = ["--url", self.server.url, "--temperature", "0"]
        done = self.ask(*asked, "What is 123 + 456?")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("579", done.stdout)
        self.assertTrue(done.stdout.endswith("\n") and not done.stdout.endswith("\n\n"))
        shown = self.ask(*asked, "--thinking", text="What is 123 + 456?")
        self.assertTrue(shown.stdout.endswith("\n\n" + done.stdout), shown.stdout)

    def test_without_a_server(self):
        done = self.ask("--model", MODEL, "--temperature", "0", "What is 123 + 456?")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("579", done.stdout)

    def test_a_key(self):
        keys = os.path.join(self.home, "keys")
        with open(keys, "w", encoding="ascii") as file:
            file.write(KEY + "\n")
        os.chmod(keys, 0o600)
        with fathom.Server(MODEL, "--api-keys", keys) as server:
            asked = ["--url", server.url, "Who are you?"]
            for wrong in ({}, {"FATHOM_API_KEY": "sk-wrong-wrong-wrong"}):
                done = self.ask(*asked, **wrong)
                self.assertEqual((done.returncode, done.stdout), (1, ""))
                self.assertIn("FATHOM_API_KEY", done.stderr)
                self.assertIn("--api-key", done.stderr)
            self.assertEqual(self.ask(*asked, FATHOM_API_KEY=KEY).returncode, 0)


if __name__ == "__main__":
    unittest.main()
