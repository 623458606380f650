#!/usr/bin/env python3
"""Opens the page of a server in a headless Chromium and checks that it shows what the server counts.

    page_test.py SERVER_COMMAND...           load, rest, phone, dark theme, keyboard
    page_test.py --drain SERVER_COMMAND...   SIGTERM while the queue is full; that should last some seconds

Exits with 0, with 1 and a sentence on what was expected, or with 77 where there is no Chromium.
"""
import concurrent.futures
import fcntl
import http.client
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

PATIENCE_S = 15   # for one condition
OVERALL_S = 60    # for the test; an alarm ends whatever waits longer
EVENT = json.dumps({"user": "u1", "action": "buy", "amount": 1})
COUNTED = {"received": "events_received_total", "processed": "events_processed_total", "dropped": "events_dropped_total",
           "pending": "events_pending", "invalid": "requests_invalid_total", "queue-depth": "queue_depth",
           "queue-capacity": "queue_capacity", "workers": "workers", "workers-busy": "workers_busy"}


class Failed(Exception):
    """What was expected, and what was there."""


def expect(what, expected, actual):
    if actual != expected:
        raise Failed(f"{what}: expected {expected}, was {actual}")


def wait_until(what, holds, see=lambda: None):
    """Until holds() does, with what see() saw last in the complaint."""
    end = time.monotonic() + PATIENCE_S
    while not holds():
        if time.monotonic() > end:
            raise Failed(f"expected within {PATIENCE_S} s that {what}; was {see()}")
        see()
        time.sleep(0.05)


def end_group(process):
    """Ends a process that leads its own group, and its children with it."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(5)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            pass


class Server:
    def __init__(self, command, directory):
        self.output = os.path.join(directory, "server.txt")
        with open(self.output, "wb") as output:
            self.process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)

    def listen(self):
        listening = lambda: re.search(r"listening on 127\.0\.0\.1:(\d+)\s", self.said())
        wait_until("the server says 'listening on 127.0.0.1:PORT'", listening, self.said)
        self.port = int(listening()[1])
        self.url = f"http://127.0.0.1:{self.port}"

    def said(self):
        with open(self.output, errors="replace") as output:
            return output.read()

    def ask(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def metrics(self):
        lines = re.findall(r"^unfreeze_(\w+) (\S+)$", self.ask("GET", "/metrics")[1], re.MULTILINE)
        return {name: int(float(value)) for name, value in lines}

    def load(self, least, most=5000):
        """Posts `least` events, and more until one is refused or there were `most`; counts the answers."""
        answers = {202: 0, 503: 0}
        with concurrent.futures.ThreadPoolExecutor(20) as threads:
            while sum(answers.values()) < least or not answers[503] and sum(answers.values()) < most:
                for status, _ in threads.map(lambda _: self.ask("POST", "/", EVENT), range(100)):
                    if status not in answers:
                        raise Failed(f"expected 202 or 503 for an event, was {status}")
                    answers[status] += 1
        return answers


class Browser:
    """Chromium, told what to do over a pair of pipes: JSON messages that each end with a zero byte."""

    def __init__(self, program, directory):
        commands, self.commands = os.pipe()
        self.messages, messages = os.pipe()

        def wire():   # it reads commands from 3 and writes messages to 4, which may be in use here
            high = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in (commands, messages)]
            os.dup2(high[0], 3)
            os.dup2(high[1], 4)

        self.process = subprocess.Popen(
            [program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
             "--disable-background-networking", "--disable-breakpad", "--remote-debugging-pipe",
             f"--user-data-dir={directory}/profile", "about:blank"],
            preexec_fn=wire, close_fds=False, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(commands)
        os.close(messages)
        self.unread, self.last_id, self.session, self.events = b"", 0, {}, []

    def open(self, url):
        target = self.tell("Target.createTarget", url="about:blank")["targetId"]
        self.session = {"sessionId": self.tell("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]}
        for domain in ("Network", "Runtime", "Log", "Page"):
            self.tell(f"{domain}.enable")
        self.tell("Page.navigate", url=url)

    def tell(self, method, **parameters):
        self.last_id += 1
        command = {"id": self.last_id, "method": method, "params": parameters, **self.session}
        os.write(self.commands, json.dumps(command).encode() + b"\0")
        while True:
            message = self.read()
            if message.get("id") == self.last_id:
                if "error" in message:
                    raise Failed(f"expected Chromium to do {method}, was {message['error']}")
                return message["result"]
            self.events.append(message)

    def read(self):
        while b"\0" not in self.unread:
            ready = select.select([self.messages], [], [], PATIENCE_S)[0]
            more = os.read(self.messages, 1 << 16) if ready else b""
            if not more:
                raise Failed("expected a message of Chromium, was " + ("its end" if ready else "silence"))
            self.unread += more
        message, _, self.unread = self.unread.partition(b"\0")
        return json.loads(message)

    def run(self, script):
        return self.tell("Runtime.evaluate", expression=script, returnByValue=True)["result"].get("value")

    def text(self, row):
        return self.run(f"document.getElementById('{row}')?.textContent")

    def numbers(self, rows):
        texts = self.run(f"Object.fromEntries({list(rows)}.map(id => [id, document.getElementById(id)?.textContent]))")
        return {row: int(text.replace(",", "")) if re.fullmatch(r"[\d,]+", text) else text for row, text in texts.items()}

    def wait_for(self, row, expected):
        wait_until(f"the page's {row} is '{expected}'", lambda: self.text(row) == expected,
                   lambda: f"'{self.text(row)}'")

    def press(self, key, code, text=""):
        event = {"key": key, "code": key.strip() or "Space", "windowsVirtualKeyCode": code}
        self.tell("Input.dispatchKeyEvent", type="keyDown", text=text, **event)
        self.tell("Input.dispatchKeyEvent", type="keyUp", **event)

    def requests(self):
        """The time and URL of each request so far."""
        self.run("0")   # what came before its answer has been read then
        return [(event["params"]["timestamp"], event["params"]["request"]["url"]) for event in self.events
                if event.get("method") == "Network.requestWillBeSent"]

    def complaints(self):
        return [event["params"] for event in self.events if event.get("method") == "Runtime.exceptionThrown"
                or event.get("method") == "Log.entryAdded" and event["params"]["entry"]["level"] == "error"]


def check_numbers(server, browser):
    answers = server.load(300)
    expect("the status of a request that is not JSON", 400, server.ask("POST", "/", "{")[0])
    received, dropped = sum(answers.values()), answers[503]
    seen = lambda: browser.numbers(COUNTED)
    for row, number in (("received", received), ("dropped", dropped), ("processed", answers[202]), ("pending", 0)):
        wait_until(f"the page's {row} is {number} ({received} posted, {dropped} of them refused)",
                   lambda: seen()[row] == number, lambda: seen()[row])
    metrics = server.metrics()
    counted = {row: metrics.get(f"{name}") for row, name in COUNTED.items()}
    wait_until(f"the page shows what /metrics says at rest, {counted}", lambda: seen() == counted, seen)


def check_requests(server, browser, least_s=4):
    began = len(browser.requests())
    since = lambda: browser.requests()[began:]
    lasted = lambda: since()[-1][0] - since()[0][0] if len(since()) > 1 else 0
    wait_until(f"the page goes on asking for {least_s} s", lambda: lasted() >= least_s, lambda: f"{lasted():.1f} s")
    rate = (len(since()) - 1) / lasted()
    if not 0.7 <= rate <= 1.3:
        raise Failed(f"expected about one request a second of the page, was {rate:.2f}")
    others = {url for _, url in browser.requests() if not url.startswith("data:")} - {f"{server.url}/", f"{server.url}/metrics"}
    expect("what the page asks for besides / and /metrics", set(), others)


def check_looks(browser):
    browser.tell("Emulation.setDeviceMetricsOverride", width=360, height=740, deviceScaleFactor=2, mobile=True)
    expect("the width of the page on a phone of 360 px", 360, browser.run("document.documentElement.scrollWidth"))
    browser.tell("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    for name, is_right in (("backgroundColor", lambda light: light < 64), ("color", lambda light: light > 192)):
        color = browser.run(f"getComputedStyle(document.body).{name}")
        channels = [int(channel) for channel in re.findall(r"\d+", color)[:3]]
        if not is_right(sum(channels) / 3):
            raise Failed(f"expected light text on a dark ground in the dark theme, was {name} {color}")


def check_keyboard(browser):
    on_pause = lambda: browser.run("document.activeElement.matches('button[aria-pressed]')")
    presses = 0
    while not on_pause():
        presses += 1
        if presses > 10:
            raise Failed("expected the Pause button within ten presses of Tab, was not there")
        browser.press("Tab", 9)
    browser.press(" ", 32, " ")
    browser.wait_for("state", "paused")
    expect("aria-pressed of the paused page", "true", browser.run("document.activeElement.ariaPressed"))
    asked, until = len(browser.requests()), time.monotonic() + 3
    wait_until("three seconds pass", lambda: time.monotonic() > until)
    expect("the requests of the paused page", 0, len(browser.requests()) - asked)
    browser.press("Enter", 13, "\r")
    browser.wait_for("state", "live")
    wait_until("the page asks again", lambda: len(browser.requests()) > asked)


def check_drain(server, browser):
    answers = server.load(1)
    wait_until("the page shows events pending", lambda: browser.text("pending") not in ("–", "0"))
    server.process.send_signal(signal.SIGTERM)
    browser.wait_for("state", "draining")
    banner = browser.text("banner")
    if not re.fullmatch(r"Draining: [\d,]+ events? left, no new ones are taken\.", banner):
        raise Failed(f"expected 'Draining: N events left, no new ones are taken.', was '{banner}'")
    browser.wait_for("state", "ended")
    expect("the banner", "The server has ended.", browser.text("banner"))
    wait_until("the server exits", lambda: server.process.poll() is not None)


def main(arguments):
    drains = arguments[:1] == ["--drain"]
    command = arguments[drains:]
    if not command:
        sys.exit(__doc__)
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not program:
        print("SKIPPED: no chromium here (apt install chromium)")
        return 77

    def too_long(*_):
        raise Failed(f"expected an end within {OVERALL_S} s, was still busy")
    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(OVERALL_S)
    started = []
    with tempfile.TemporaryDirectory(prefix="page_test_", ignore_cleanup_errors=True) as directory:
        try:
            started.append(server := Server(command, directory))
            server.listen()
            started.append(browser := Browser(program, directory))
            browser.open(server.url)
            browser.wait_for("state", "live")
            if drains:
                check_drain(server, browser)
                print("the page shows the server draining, and its end")
            else:
                check_numbers(server, browser)
                check_requests(server, browser)
                check_looks(browser)
                check_keyboard(browser)
                expect("the errors in the page's console", [], browser.complaints())
                print("the page shows what the server counts, asks once a second, and can be read and paused")
            return 0
        except Failed as failed:
            print(f"page_test.py: {failed}")
            return 1
        finally:
            signal.alarm(0)
            for one in reversed(started):
                end_group(one.process)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
