#!/usr/bin/env python3
"""Opens a server's page in a headless Chromium and checks that it shows the server's counters.

    page_test.py SERVER_COMMAND...           load, polling, phone, dark theme, keyboard
    page_test.py --drain SERVER_COMMAND...   SIGTERM while events are queued; the drain must take some seconds
    page_test.py --played PAGE_FILE          readings that this test makes up, such as a late one

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


def serve(handler, ends):
    """Serves HTTP on a free port until the test ends. Returns the address."""
    listener = ends.enter_context(http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler))
    threading.Thread(target=listener.serve_forever, daemon=True).start()
    ends.callback(listener.shutdown)
    return "127.0.0.1:%d" % listener.server_port


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

    return serve(Handler, ends)


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
        self.target = None

    def open(self, url, script=None):
        if self.target:
            self.tell("Target.closeTarget", targetId=self.target)
        self.session = {}
        self.target = self.tell("Target.createTarget", url="about:blank")["targetId"]
        attached = self.tell("Target.attachToTarget", targetId=self.target, flatten=True)
        self.session = {"sessionId": attached["sessionId"]}
        for domain in ("Network", "Runtime", "Log", "Page"):
            self.tell(f"{domain}.enable")
        if script:
            self.tell("Page.addScriptToEvaluateOnNewDocument", source=script)
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

    def resize(self, width, height):
        self.tell("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=True)
        needed = self.run("document.documentElement.scrollWidth")
        expect(f"a page no wider than a screen of {width} px", needed <= width, needed)

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
    browser.wait_for("title", "Stage 9: metrics")
    where = re.compile(re.escape(server.address) + r" · up \d+ s")
    expect("the server's address and uptime", where.fullmatch(seen := browser.text("where")), seen)


def check_requests(browser):
    before = len(browser.requests())
    times = wait_for("requests over 4 s", lambda: [one["timestamp"] for one in browser.requests()[before:]],
                     lambda seen: seen and seen[-1] - seen[0] >= 4)
    rate = (len(times) - 1) / (times[-1] - times[0])
    expect("about one request a second", 0.7 <= rate <= 1.3, f"{rate:.2f}")
    urls = {one["request"]["url"] for one in browser.requests() if not one["request"]["url"].startswith("data:")}
    expect("requests for / and /metrics alone", urls == {browser.url, f"{browser.url}metrics"}, urls)


def check_looks(browser):
    browser.resize(360, 740)
    browser.tell("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    colors = browser.run("(style => [style.backgroundColor, style.color])(getComputedStyle(document.body))")
    ground, text = (sum(map(int, re.findall(r"\d+", color)[:3])) / 3 for color in colors)
    expect("light text on dark ground in the dark theme", ground < 64 and text > 192, colors)


def check_keyboard(browser):
    on_pause = lambda: browser.run("document.activeElement.textContent === 'Pause'")
    reached = any(browser.press("Tab", 9) or on_pause() for _ in range(10))
    expect("the Pause button within ten presses of Tab", reached, "elsewhere")
    browser.press(" ", 32, " ")
    browser.wait_for("state", "paused")
    browser.wait_for("pause", "Resume")
    asked, end = len(browser.requests()), time.monotonic() + 3
    while time.monotonic() < end:
        time.sleep(0.05)
        expect("no request of the paused page", len(browser.requests()) == asked, browser.requests()[asked:])
    browser.press("Enter", 13, "\r")
    wait_for("requests after the pause", browser.requests, lambda seen: len(seen) > asked)
    browser.wait_for("pause", "Pause")


def check_no_exception(browser):
    thrown = browser.happened("Runtime.exceptionThrown")
    expect("no exception in the page", not thrown, thrown)


def check_console(browser):
    errors = [one["entry"] for one in browser.happened("Log.entryAdded") if one["entry"]["level"] == "error"]
    expect("no error in the page's console", not errors, errors)
    check_no_exception(browser)


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
    sentence = re.compile(r"The server has ended\. At the last reading, at most \d\.\d s before, [\d,]+ events? (was|were) pending\. .*")
    expect("'The server has ended. At the last reading, ...'", sentence.fullmatch(seen := browser.text("banner")), seen)
    wait_for("the server's exit", server.process.poll, lambda code: code is not None)


class Player:
    """Serves the page, and `play(n)` as the n-th reading since play was set. None closes the connection instead."""

    def __init__(self, page, ends):
        self.set(lambda n: None)
        self.free = threading.Event()   # while it is not set, a response waits
        self.free.set()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(handler):
                text = page if handler.path == "/" else self.next()
                self.free.wait(TIMEOUT_S)
                if text is None:
                    return
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):   # the page waits for two seconds
                    handler.send_response(200)
                    handler.send_header("Content-Type", "text/html; charset=utf-8")
                    handler.end_headers()
                    handler.wfile.write(text.encode())

            def log_message(self, *_):
                pass

        self.address = serve(Handler, ends)

    def set(self, play):
        self.play, self.played = play, 0

    def next(self):
        self.played += 1
        return self.play(self.played - 1)

    def wait(self, count):
        wait_for(f"{count} more polls", lambda: self.played, lambda seen, end=self.played + count: seen >= end)


def reading(uptime, received=0, processed=0, dropped=0, queued=0, capacity=1000, busy=16, pending=None, draining=0,
            start=1.5, program="stage10_shutdown", durations=(0, 0, 0, 0)):
    """The text of /metrics. `durations` are the counts up to 0.1, 5, 10 and more seconds."""
    buckets = zip(("0.1", "5", "10", "+Inf"), [sum(durations[:i + 1]) for i in range(4)])
    return "\n".join([
        f"unfreeze_server_info{{program=\"{program}\"}} 1", f"unfreeze_uptime_seconds {uptime}",
        f"unfreeze_events_received_total {received}", f"unfreeze_events_processed_total {processed}",
        f"unfreeze_events_dropped_total {dropped}",
        f"unfreeze_events_pending {queued + busy if pending is None else pending}",
        "unfreeze_requests_invalid_total 0", "unfreeze_connections_open 3", f"unfreeze_queue_depth {queued}",
        f"unfreeze_queue_capacity {capacity}", "unfreeze_workers 16", f"unfreeze_workers_busy {busy}",
        f"unfreeze_draining {draining}", f"process_start_time_seconds {start}",
        *(f"unfreeze_event_duration_seconds_bucket{{le=\"{le}\"}} {count}" for le, count in buckets), ""])


def steady(n, **changes):
    """A reading a second, with 100 events a second."""
    return reading(**{"uptime": 100 + n, "received": 100 * n, "processed": 100 * n, "queued": 12, **changes})


# A second of the page's timer takes a tenth of a second.
FASTER = "{ const real = setTimeout; window.setTimeout = (run, ms) => real(run, ms / 10); }"
TEXTS = "Array.from(document.querySelectorAll('%s'), one => one.textContent)"
LINES = "Array.from(document.querySelectorAll('.line.%s'), one => one.getAttribute('d') ?? '').join('')"


def begin(player, browser, play):
    player.set(play)
    browser.open(f"http://{player.address}/", FASTER)
    wait_for("a first reading", lambda: browser.text("received"), lambda seen: seen not in (None, "–"))


def check_header(player, browser):
    begin(player, browser, lambda n: steady(n, uptime=72, program="stage10_variant_no_drain"))
    browser.wait_for("title", "Stage 10: variant no-drain")
    browser.wait_for("where", f"{player.address} · up 1 min 12 s")
    player.set(lambda n: steady(n, uptime=7260, program="stage09_metrics"))
    browser.wait_for("title", "Stage 9: metrics")
    browser.wait_for("where", f"{player.address} · up 2 h 1 min")


def check_time_axis(player, browser):
    begin(player, browser, lambda n: steady(0))
    for age, label in ((10, "15 s ago"), (25, "30 s ago"), (50, "1 min ago"), (110, "2 min ago"), (130, "2 min ago")):
        player.set(lambda n: steady(age))
        browser.wait_for("uptime", f"{(100 + age) // 60} min {(100 + age) % 60} s")
        left = browser.run(TEXTS % ".time span:first-child")
        expect(f"an axis that begins {label} after {age} s", left == [label] * 3, left)


def check_lines(player, browser):
    begin(player, browser, lambda n: steady(n, received=120 * n, dropped=20 * n))   # two lines at 100 /s
    browser.wait_for("rejected-rate", "20")
    names = ("accepted", "processed", "rejected")
    dash = "getComputedStyle(document.querySelector('.line.%s')).strokeDasharray"
    dashes = [browser.run(dash % name) for name in names]
    expect("three lines with three dash patterns", len(set(dashes)) == 3, dashes)
    points = [len(browser.run(LINES % name)) for name in names]
    expect("a line for each of three rates", min(points) > 0, points)
    ends = browser.run("""Array.from(document.querySelectorAll('.names')[0].querySelectorAll('span'), one =>
        one.hidden ? null : [one.textContent, one.getBoundingClientRect().top])""")
    expect("a name beside each line", sorted(end[0] for end in ends if end) == sorted(names), ends)
    heights = sorted(top for _, top in ends)
    expect("names that do not overlap", min(b - a for a, b in zip(heights, heights[1:])) >= 12, ends)


def check_late_response(player, browser):
    begin(player, browser, steady)
    browser.wait_for("accepted-rate", "100")
    for _ in range(3):
        player.free.clear()
        player.wait(1)
        late = time.monotonic() + 0.5
        wait_for("a late response", time.monotonic, lambda now: now > late)
        player.free.set()
        player.wait(2)
    heights = re.findall(r"[ML][-\d.e]+ ([-\d.e]+)", browser.run(LINES % "accepted"))
    expect("a level line despite late responses", len(heights) > 6 and set(heights) == {"0"}, heights)
    scale = browser.run(TEXTS % ".scale span:first-child")[0]
    expect("a chart up to 100 /s", scale == "100 /s", scale)


def check_gaps(player, browser):
    begin(player, browser, steady)
    pieces = lambda: browser.run(LINES % "depth").count("M")
    player.wait(3)
    expect("one piece of a line without a gap", pieces() == 1, pieces())
    browser.run("document.getElementById('pause').click()")
    browser.run("document.getElementById('pause').click()")
    wait_for("a gap after a pause", pieces, lambda seen: seen == 2)
    hide = "Object.defineProperty(document, 'hidden', { value: %s, configurable: true });" \
           "document.dispatchEvent(new Event('visibilitychange'))"
    browser.run(hide % "true")
    browser.run(hide % "false")
    wait_for("a gap after the page was hidden", pieces, lambda seen: seen == 3)
    player.set(lambda n: steady(n, uptime=160 + n))
    wait_for("a gap if the server gave no reading for some time", pieces, lambda seen: seen == 4)
    player.set(lambda n: steady(n, uptime=5 + n, start=9.5))
    wait_for("a gap after a restart", pieces, lambda seen: seen == 5)
    browser.wait_for("processed-rate", "100")


def check_latency(player, browser):
    begin(player, browser, lambda n: steady(n, durations=(0, 0, 100 * n, 0)))
    browser.wait_for("p50", "5 to 10 s")
    browser.wait_for("p99", "5 to 10 s")
    heights = set(re.findall(r"[ML][-\d.e]+ ([-\d.e]+)", browser.run(LINES % "p50")))
    expect("the area from 5 to 10 s in a chart up to 10 s", heights == {"50", "0"}, heights)
    begin(player, browser, lambda n: steady(n, durations=(98 * n, 0, 0, 2 * n)))
    browser.wait_for("p50", "up to 100 ms")
    browser.wait_for("p99", "more than 10 s")


def check_picture(player, browser):
    begin(player, browser, lambda n: steady(n, busy=5))
    browser.wait_for("processed-rate", "100")
    label = browser.run("document.getElementById('picture').getAttribute('aria-label')")
    for part in ("the queue holds 12 of 1,000", "5 of 16 workers are busy", "100 events a second are processed"):
        expect(f"'{part}' in the picture's text", part in label, label)
    bar = browser.run("document.querySelector('#queue-box .on').style.width")
    expect("a bar for 12 of 1,000 events", bar == "1.2%", bar)
    cells = "[document.querySelectorAll('#%s i.on').length, document.querySelectorAll('#%s .cells i').length]"
    workers = browser.run(cells % ("workers-box", "workers-box"))
    expect("5 of 16 cells filled", workers == [5, 16], workers)
    player.set(lambda n: steady(n, uptime=200 + n, queued=7, capacity=100))
    queue = lambda: browser.run(cells % ("queue-box", "queue-box"))
    wait_for("7 of 100 cells filled", queue, lambda seen: seen == [7, 100])


def check_pending(player, browser):
    begin(player, browser, lambda n: steady(n, queued=65))
    browser.wait_for("pending", "81")
    browser.wait_for("pending-parts", "= 65 in the queue + 16 with workers")
    player.set(lambda n: steady(n, uptime=200 + n, queued=63, pending=81))
    browser.wait_for("pending-parts", "read a moment later: 63 in the queue + 16 with workers")


def check_queue_chart(player, browser):
    begin(player, browser, steady)
    scale = lambda: browser.run(TEXTS % ".scale span:first-child")[1]
    wait_for("a chart up to 20 for a depth of 12", scale, lambda seen: seen == "20")
    expect("no line for a capacity of 1,000", browser.run(LINES % "capacity") == "", browser.run(LINES % "capacity"))
    legend = browser.run(TEXTS % "[data-shows=queue-capacity]")
    expect("the capacity as a number", "1,000" in legend, legend)
    player.set(lambda n: steady(n, uptime=200 + n, queued=900))
    wait_for("a line for the capacity once it is in the scale", lambda: browser.run(LINES % "capacity"), len)


def check_overload(player, browser):
    filled = lambda: browser.run("getComputedStyle(document.querySelector('#queue-box .on')).backgroundColor")
    word = lambda: browser.text("queue-alarm")
    begin(player, browser, lambda n: steady(n, queued=500))
    browser.wait_for("rejected-rate", "0")
    calm = filled()
    player.set(lambda n: steady(n, uptime=200 + n, queued=998, dropped=n))
    wait_for("'rejecting' at 998 of 1,000 with refusals", word, lambda seen: seen == "rejecting")
    expect("another colour than in a calm queue", filled() != calm, calm)
    player.set(lambda n: steady(n, uptime=300 + n, queued=500, dropped=1000 + n))
    browser.wait_for("queue-text", "500 of 1,000")
    wait_for("'rejecting' at any depth with refusals", word, lambda seen: seen == "rejecting")
    player.set(lambda n: steady(n, uptime=400 + n, queued=950, dropped=9000))
    wait_for("'nearly full' at 950 of 1,000", word, lambda seen: seen == "nearly full")
    player.set(lambda n: steady(n, uptime=500 + n, queued=500, dropped=9000))
    wait_for("no alarm at 500 of 1,000", filled, lambda seen: seen == calm)


def check_end(player, browser):
    begin(player, browser, lambda n: steady(n, queued=900 - n, draining=1) if n else steady(n))
    browser.wait_for("state", "draining")
    expect("a closed entrance", browser.run(TEXTS % ".gate span") == ["closed"] * 2, browser.run(TEXTS % ".gate span"))
    spoken, banner = browser.text("spoken"), browser.text("banner")
    wait_for("another number in the banner", lambda: browser.text("banner"), lambda seen: seen != banner)
    expect("no new number for a screen reader", browser.text("spoken") == spoken, browser.text("spoken"))
    tags = "Array.from(document.querySelectorAll('.seen'), one => one.checkVisibility())"
    expect("no figure 'last seen' of a live server", not any(browser.run(tags)), browser.run(tags))
    color = "getComputedStyle(document.querySelector('%s')).color"
    live = browser.run(color % "dd")

    player.free.clear()   # no response, but the server still accepts connections
    browser.wait_for("state", "silent")
    player.free.set()
    browser.wait_for("state", "draining")

    player.set(lambda n: steady(n, uptime=300 + n, queued=65, draining=1) if n < 3 else None)
    browser.wait_for("state", "ended")
    sentence = re.compile(r"The server has ended\. At the last reading, at most \d\.\d s before, 81 events were pending\. .*")
    expect("the last reading in the banner", sentence.fullmatch(seen := browser.text("banner")), seen)
    expect("the banner for a screen reader", browser.text("spoken") == seen, browser.text("spoken"))
    browser.resize(360, 640)
    browser.run("scrollTo(0, document.documentElement.scrollHeight)")
    box = "document.getElementById('banner').getBoundingClientRect()"
    top, height = browser.run(f"[{box}.top, {box}.height]")
    expect("the banner at the top of a scrolled phone", abs(top) < 1, top)
    expect("a banner of at most a fifth of a phone", height <= 640 / 5, height)
    browser.tell("Emulation.clearDeviceMetricsOverride")
    expect("all figures marked as last seen", browser.run(tags)[:3] == [True] * 3, browser.run(tags))
    expect("another colour of the figures", browser.run(color % "dd") != live, live)
    right = browser.run(TEXTS % ".time span:last-child")
    expect("no chart that ends now", right == ["last seen"] * 3, right)
    label = browser.run("document.getElementById('picture').getAttribute('aria-label')")
    expect("a picture's text that begins with 'Last seen'", label.startswith("Last seen: "), label)
    hatched = browser.run("getComputedStyle(document.querySelector('#workers-box .on')).backgroundImage")
    expect("hatched cells", "repeating" in hatched, hatched)

    player.set(lambda n: steady(n, start=9.5))
    browser.wait_for("state", "live")
    expect("live figures after a restart", not any(browser.run(tags)), browser.run(tags))


def check_sizes(player, browser):
    begin(player, browser, lambda n: steady(n, uptime=1e5 + n, received=123456 * n, dropped=23456 * n, queued=12345,
                                           capacity=12345, draining=1))
    browser.wait_for("accepted-rate", "100K")
    player.set(lambda n: steady(n, uptime=2e5 + n, received=99999 * n, dropped=9999 * n, queued=12345,
                                capacity=12345))
    browser.wait_for("accepted-rate", "90,000")
    for width, height in ((1280, 800), (820, 1180), (810, 600), (768, 1024), (360, 640)):
        browser.resize(width, height)
        cut = browser.run("""Array.from(document.querySelectorAll('#picture, #picture *, dd, .names span'), one =>
            one.checkVisibility() && (one.scrollWidth > one.clientWidth + 1 && one.clientWidth > 0 ||
            one.getBoundingClientRect().right > innerWidth || parseFloat(getComputedStyle(one).fontSize) < 12) &&
            one.outerHTML).filter(Boolean)""")
        expect(f"no part of the picture cut, or smaller than 12 px, at {width} px", not cut, cut)
        overlap = browser.run("""(boxes => boxes.flatMap((a, i) => boxes.slice(i + 1).filter(b => {
            const [p, q] = [a, b].map(one => one.getBoundingClientRect());
            return p.left < q.right - 1 && q.left < p.right - 1 && p.top < q.bottom - 1 && q.top < p.bottom - 1;
        }).map(b => a.textContent + ' / ' + b.textContent)))(Array.from(document.querySelectorAll(
            '#picture > *:not(.arrow), .arrow b, .arrow span')))""")
        expect(f"no overlap in the picture at {width} px", not overlap, overlap)
    browser.tell("Emulation.clearDeviceMetricsOverride")


PLAYED = (check_header, check_time_axis, check_lines, check_late_response, check_gaps, check_latency, check_picture,
          check_pending, check_queue_chart, check_overload, check_end, check_sizes)


def check_played(player, browser):
    for check in PLAYED:
        check(player, browser)
    check_no_exception(browser)


def main(arguments):
    mode = arguments[0] if arguments[0].startswith("--") else ""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not program:
        print("SKIPPED, NOTHING TESTED: Chromium is missing (./lab setup browser)")
        return 1 if os.environ.get("UNFREEZE_BROWSER") == "required" else 77
    signal.signal(signal.SIGALRM, lambda *_: expect(f"an end within {OVERALL_S} s", False, "still busy"))
    with contextlib.ExitStack() as ends:
        directory = ends.enter_context(tempfile.TemporaryDirectory(prefix="page_test_", ignore_cleanup_errors=True))
        ends.callback(signal.alarm, 0)
        signal.alarm(OVERALL_S)
        browser = Browser(program, directory, ends)
        if mode == "--played":
            with open(arguments[1], encoding="utf-8") as page:
                player = Player(page.read(), ends)
            check_played(player, browser)
            print("the page shows made-up readings as they are: late ones, gaps, ranges, overload, a drain and its end")
            return 0
        server = Server(arguments[mode != "":], directory, ends)
        browser.open(f"http://{server.address}/")
        browser.wait_for("state", "live")
        if mode == "--drain":
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
