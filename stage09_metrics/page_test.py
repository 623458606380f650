#!/usr/bin/env python3
"""Opens a server's page in a headless Chromium and checks that it shows the server's counters.

    page_test.py SERVER_COMMAND...           load, polling, phone, dark theme, keyboard
    page_test.py --drain SERVER_COMMAND...   SIGTERM while events are queued; the drain must take some seconds

Exits with 0 on success, and with 1 and a sentence on failure. Without Chromium it exits with 77, or with 1 if
UNFREEZE_BROWSER=required is set.
"""
import concurrent.futures, contextlib, fcntl, http.client, http.server, json, os, re
import shutil, signal, subprocess, sys, tempfile, threading, time

TIMEOUT_S = 15    # for one condition
OVERALL_S = 60    # for the whole test: an alarm ends a longer one
EVENT = json.dumps({"user": "u1", "action": "buy", "amount": 1})
ROWS = {"received": "events_received_total", "processed": "events_processed_total", "dropped": "events_dropped_total",
        "pending": "events_pending", "invalid": "requests_invalid_total", "queue-depth": "queue_depth",
        "queue-capacity": "queue_capacity", "workers": "workers", "workers-busy": "workers_busy"}


def expect(what, is_right, actual):
    if not is_right:
        sys.exit(f"page_test.py: expected {what}, was {actual}")   # exits with 1


def wait_for(what, see, is_right):
    end = time.monotonic() + TIMEOUT_S
    while not is_right(seen := see()):
        expect(f"{what} within {TIMEOUT_S} s", time.monotonic() < end, repr(seen))
        time.sleep(0.05)
    return seen


def end_group(process):
    for number in (signal.SIGTERM, signal.SIGKILL):   # SIGKILL ends children that SIGTERM did not end
        with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
            os.killpg(process.pid, number)
            process.wait(5)


class Server:
    def __init__(self, command, directory, ends):
        output = ends.enter_context(open(f"{directory}/server.txt", "w+b"))
        self.process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
        ends.callback(end_group, self.process)
        listening = re.compile(rb"listening on (127\.0\.0\.1:\d+)\s")
        said = wait_for("'listening on 127.0.0.1:PORT' of the server",
                        lambda: os.pread(output.fileno(), 1 << 16, 0), listening.search)
        self.address = listening.search(said)[1].decode()

    def ask(self, method, path, body=None):
        with contextlib.closing(http.client.HTTPConnection(self.address, timeout=5)) as connection:
            connection.request(method, path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def load(self, least, most=5000):
        """Posts `least` events, and more until one is rejected or `most` are posted. Returns the statuses."""
        statuses = []
        with concurrent.futures.ThreadPoolExecutor(20) as threads:
            while len(statuses) < least or 503 not in statuses and len(statuses) < most:
                statuses += threads.map(lambda _: self.ask("POST", "/", EVENT)[0], range(100))
        expect("202 or 503 for each event", set(statuses) <= {202, 503}, set(statuses))
        return statuses


def proxy(server, prefix, ends):
    """Starts a reverse proxy that serves the server's paths under `prefix` only. Returns its address."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            status, text = (404, "") if not self.path.startswith(prefix) else \
                server.ask("GET", "/" + self.path.removeprefix(prefix))
            self.send_response(status)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_):
            pass

    listener = ends.enter_context(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler))
    threading.Thread(target=listener.serve_forever, daemon=True).start()
    ends.callback(listener.shutdown)
    return "127.0.0.1:%d" % listener.server_port


class Browser:
    """Chromium, controlled over a pair of pipes by JSON messages that each end with a zero byte."""

    def __init__(self, program, directory, ends):
        commands, self.commands = os.pipe()
        self.messages, messages = os.pipe()

        def wire():   # Chromium reads commands from 3 and writes messages to 4, which may be in use here.
            high = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in (commands, messages)]
            os.dup2(high[0], 3)
            os.dup2(high[1], 4)

        self.process = subprocess.Popen(
            [program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
             "--disable-background-networking", "--disable-breakpad", "--remote-debugging-pipe",
             f"--user-data-dir={directory}/profile", "about:blank"],
            preexec_fn=wire, close_fds=False, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        ends.callback(end_group, self.process)
        os.close(commands)
        os.close(messages)
        self.unread, self.last_id, self.session, self.events = b"", 0, {}, []

    def open(self, url):
        target = self.tell("Target.createTarget", url="about:blank")["targetId"]
        self.session = {"sessionId": self.tell("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]}
        for domain in ("Network", "Runtime", "Log", "Page"):
            self.tell(f"{domain}.enable")
        self.tell("Page.navigate", url=url)
        self.url = url

    def tell(self, method, **parameters):
        self.last_id += 1
        command = json.dumps({"id": self.last_id, "method": method, "params": parameters, **self.session})
        os.write(self.commands, command.encode() + b"\0")
        while (message := self.read()).get("id") != self.last_id:
            self.events.append(message)
        expect(f"Chromium to do {method}", "result" in message, message)
        return message["result"]

    def read(self):
        while b"\0" not in self.unread:
            self.unread += (more := os.read(self.messages, 1 << 16))
            expect("a message of Chromium", more, "its end")
        message, _, self.unread = self.unread.partition(b"\0")
        return json.loads(message)

    def run(self, script):
        return self.tell("Runtime.evaluate", expression=script, returnByValue=True)["result"].get("value")

    def text(self, row):
        return self.run(f"document.getElementById('{row}')?.textContent")

    def wait_for(self, row, text):
        wait_for(f"'{text}' as the page's {row}", lambda: self.text(row), lambda seen: seen == text)

    def press(self, key, code, text=""):
        for what, typed in (("keyDown", text), ("keyUp", "")):
            self.tell("Input.dispatchKeyEvent", type=what, key=key, windowsVirtualKeyCode=code, text=typed)

    def happened(self, method):
        self.run("0")   # reads all messages before its response
        return [event["params"] for event in self.events if event.get("method") == method]

    def requests(self):
        return self.happened("Network.requestWillBeSent")


def check_numbers(server, browser):
    statuses = server.load(300)
    expect("400 for a request that is not JSON", (status := server.ask("POST", "/", "{")[0]) == 400, status)
    browser.wait_for("received", f"{len(statuses):,}")
    browser.wait_for("dropped", f"{statuses.count(503):,}")
    browser.wait_for("processed", f"{statuses.count(202):,}")
    browser.wait_for("pending", "0")
    metrics = dict(re.findall(r"^unfreeze_(\w+) (\d+)$", server.ask("GET", "/metrics")[1], re.MULTILINE))
    for row, name in ROWS.items():
        browser.wait_for(row, f"{int(metrics[name]):,}")


def check_requests(browser):
    before = len(browser.requests())
    times = wait_for("requests over 4 s", lambda: [one["timestamp"] for one in browser.requests()[before:]],
                     lambda seen: seen and seen[-1] - seen[0] >= 4)
    rate = (len(times) - 1) / (times[-1] - times[0])
    expect("about one request a second", 0.7 <= rate <= 1.3, f"{rate:.2f}")
    urls = {one["request"]["url"] for one in browser.requests() if not one["request"]["url"].startswith("data:")}
    expect("requests for / and /metrics alone", urls == {browser.url, f"{browser.url}metrics"}, urls)


def check_looks(browser):
    browser.tell("Emulation.setDeviceMetricsOverride", width=360, height=740, deviceScaleFactor=2, mobile=True)
    width = browser.run("document.documentElement.scrollWidth")
    expect("a page no wider than a phone of 360 px", width <= 360, width)
    browser.tell("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    colors = browser.run("(style => [style.backgroundColor, style.color])(getComputedStyle(document.body))")
    ground, text = (sum(map(int, re.findall(r"\d+", color)[:3])) / 3 for color in colors)
    expect("light text on dark ground in the dark theme", ground < 64 and text > 192, colors)


def check_keyboard(browser):
    on_pause = lambda: browser.run("document.activeElement.matches('button[aria-pressed=false]')")
    reached = any(browser.press("Tab", 9) or on_pause() for _ in range(10))
    expect("the Pause button within ten presses of Tab", reached, "elsewhere")
    browser.press(" ", 32, " ")
    browser.wait_for("state", "paused")
    asked, end = len(browser.requests()), time.monotonic() + 3
    while time.monotonic() < end:
        time.sleep(0.05)
        expect("no request of the paused page", len(browser.requests()) == asked, browser.requests()[asked:])
    browser.press("Enter", 13, "\r")
    wait_for("requests after the pause", browser.requests, lambda seen: len(seen) > asked)


def check_console(browser):
    errors = [one["entry"] for one in browser.happened("Log.entryAdded") if one["entry"]["level"] == "error"]
    errors += browser.happened("Runtime.exceptionThrown")
    expect("no error in the page's console", not errors, errors)


def check_prefix(server, browser, ends):
    browser.open(f"http://{proxy(server, '/unfreeze/', ends)}/unfreeze/")
    browser.wait_for("state", "live")


def check_drain(server, browser):
    server.load(1)
    wait_for("events pending", lambda: browser.text("pending"), lambda seen: seen not in ("–", "0"))
    server.process.send_signal(signal.SIGTERM)
    browser.wait_for("state", "draining")
    sentence = re.compile(r"Draining: [\d,]+ events? left\. New events are rejected\.")
    expect("'Draining: N events left, ...'", sentence.fullmatch(seen := browser.text("banner")), seen)
    browser.wait_for("state", "ended")
    browser.wait_for("banner", "The server has exited.")
    wait_for("the server's exit", server.process.poll, lambda code: code is not None)


def main(arguments):
    drains = arguments[:1] == ["--drain"]
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not program:
        print("SKIPPED, NOTHING TESTED: Chromium is missing (./lab setup browser)")
        return 1 if os.environ.get("UNFREEZE_BROWSER") == "required" else 77
    signal.signal(signal.SIGALRM, lambda *_: expect(f"an end within {OVERALL_S} s", False, "still busy"))
    with contextlib.ExitStack() as ends:
        directory = ends.enter_context(tempfile.TemporaryDirectory(prefix="page_test_", ignore_cleanup_errors=True))
        ends.callback(signal.alarm, 0)
        signal.alarm(OVERALL_S)
        server = Server(arguments[drains:], directory, ends)
        browser = Browser(program, directory, ends)
        browser.open(f"http://{server.address}/")
        browser.wait_for("state", "live")
        if drains:
            check_drain(server, browser)
            print("the page shows that the server drains, and that it has exited")
        else:
            check_numbers(server, browser)
            check_requests(browser)
            check_looks(browser)
            check_keyboard(browser)
            check_console(browser)
            check_prefix(server, browser, ends)
            print("the page shows the server's counters, polls once a second, is readable, can be paused, "
                  "and works under a proxy's prefix")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]) if sys.argv[1:] else __doc__)
