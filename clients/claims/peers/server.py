#!/usr/bin/env python3
"""A server in Python with asyncio, as a reader of docs/check.md may write it: it passes all claims of `check 10`.

With --mistake NAME it makes one mistake. Then the claims that --help lists for it have to fail, and no others.
"""
import argparse, asyncio, collections, contextlib, email.utils, http, json, random, re, signal, sys

MISTAKES = {   # name: the claims that fail, and what the server does wrong
    "accept-then-forget": ("drain partial-request", "after SIGTERM, it answers 202 and forgets the event"),
    "accept-while-draining": ("drain", "after SIGTERM, it still accepts clients and events"),
    "accepts-string-amount": ("reason", 'it accepts "amount":"1"'),
    "closes-after-400-body": ("keep-alive", "it closes the connection after a body that is not an event"),
    "counts-nothing-refused": ("counters-add-up", "no counter includes the events that it refuses"),
    "exits-3": ("drain", "it exits with status 3"),
    "http10-responses": ("keep-alive", "it answers as HTTP/1.0, and keeps the connection open"),
    "late-refusal": ("overload retry-after", "it answers 503 only after 1.5 s"),
    "length-in-characters": ("exact", "its Content-Length counts characters instead of bytes"),
    "lenient-length": ("ambiguous-framing", "it reads Content-Length: +44 as 44"),
    "lossy-counters": ("counters-add-up", "no counter includes one in 50 of the events that it refuses"),
    "lost-at-sigterm": ("drain", "at SIGTERM, it drops its queue and prints that all events are processed"),
    "metrics-disagree": ("exposition", "GET /metrics shows the counters from the start of the server"),
    "metrics-not-exposition": ("exposition", "GET /metrics shows JSON"),
    "no-408": ("slow-head", "it closes without a response if a head is too slow"),
    "no-json-escape": ("exact", "it does not escape a user's name in JSON"),
    "no-queue-limit": ("overload retry-after", "its queue has no limit"),
    "one-at-a-time": ("idle-client idle-connections lost-update query-during-work counters-add-up",
                      "it serves one client at a time"),
    "retry-after-soon": ("retry-after", "it sends Retry-After: soon"),
    "rounds-amounts": ("exact", "it adds amounts as floats"),
    "serial-workers": ("parallel-jobs one-lock", "one worker does all jobs"),
    "slow-response": ("slow-work accepted-at-once retry-after", "it answers only after the work"),
    "status-429-instead-of-503": ("overload retry-after counters-add-up", "it refuses events with 429"),
    "wraps-at-64-bit": ("saturation", "a balance wraps around at the end of its range"),
    "wrong-balance": ("exact saturation lost-update drain", "it loses one of two updates at the same time"),
}
mistake = None

HEAD_BYTES_MAX = 8 * 1024
BODY_BYTES_MAX = 64 * 1024
HEAD_S = 2      # for a whole head, from its first byte
BODY_S = 30     # for a whole body
IDLE_S = 30     # between requests
LINGER_S = 2    # for the client to read the last response
DRAIN_S = 30    # from SIGTERM to the exit
CONNECTIONS_MAX = 4096
INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1

TOKEN = rb"[0-9A-Za-z!#$%&'*+.^_`|~-]+"
REQUEST_LINE = re.compile(rb"(%b) ([!-~]+) HTTP/1\.([01])\r\n" % TOKEN)
FIELD = re.compile(rb"(%b):[ \t]*([\t -~\x80-\xff]*?)[ \t]*\r\n" % TOKEN)


class Response:
    def __init__(self, status, body, content_type="application/json", fields=None):
        self.status, self.body = status, body if isinstance(body, str) else to_json(body)
        self.fields = {"content-type": content_type, **(fields or {})}

    def to_bytes(self, keep_alive, with_body):
        version = "1.0" if mistake == "http10-responses" else "1.1"
        body = self.body.encode()
        length = len(self.body if mistake == "length-in-characters" else body)
        fields = {**self.fields, "date": email.utils.formatdate(usegmt=True), "content-length": length}
        if not keep_alive:
            fields["connection"] = "close"
        lines = [f"HTTP/{version} {self.status} {http.HTTPStatus(self.status).phrase}"]
        lines += [f"{name}: {value}" for name, value in fields.items()]
        return "\r\n".join([*lines, "", ""]).encode() + (body if with_body else b"")


def to_json(message):
    if mistake == "no-json-escape" and "balance" in message:
        return '{"user": "%s", "balance": %d}' % (message["user"], message["balance"])
    return json.dumps(message, ensure_ascii=mistake != "length-in-characters")


class Refused(Exception):
    """Its response is an error. If the server can't read further requests, it is the last one on the connection."""

    def __init__(self, status, reason, detail, fields=None, close=False):
        outcome = "error" if status < 500 else "rejected"
        self.response = Response(status, {"status": outcome, "reason": reason, "detail": detail}, fields=fields)
        self.close = close


def bad_request(detail):
    return Refused(400, "bad_request", detail, close=True)


def head_too_large():
    return Refused(431, "head_too_large", f"head over the limit of {HEAD_BYTES_MAX} bytes", close=True)


# ---- read -----------------------------------------------------------------------------------------------------------

class Request:
    def __init__(self, line, fields):
        method, target, minor_version = line.groups()
        self.method, self.target, self.fields, self.body = method.decode(), target.decode(), fields, b""
        if minor_version == b"1" and len(fields[b"host"]) != 1:
            raise bad_request("not one Host field")
        options = re.split(rb"[ \t]*,[ \t]*", b",".join(fields[b"connection"]).lower())
        self.keep_alive = b"close" not in options and (minor_version == b"1" or b"keep-alive" in options)

    def length(self):
        lengths = self.fields[b"content-length"]
        if lengths and self.fields[b"transfer-encoding"]:
            raise bad_request("both a length and a transfer coding")
        if self.fields[b"transfer-encoding"]:
            raise Refused(411, "length_required", "this server reads no transfer coding", close=True)
        digits = rb"\+?\d{1,18}" if mistake == "lenient-length" else rb"\d{1,18}"
        if len(lengths) > 1 or lengths and not re.fullmatch(digits, lengths[0]):
            raise bad_request("not one valid Content-Length")
        length = int(lengths[0]) if lengths else 0
        if length > BODY_BYTES_MAX:
            raise Refused(413, "body_too_large", f"body over the limit of {BODY_BYTES_MAX} bytes", close=True)
        return length


async def read_line(reader):
    try:
        return await reader.readuntil(b"\n")
    except asyncio.LimitOverrunError:
        raise head_too_large() from None


async def read_head(reader, first):
    """Reads line by line, so that the first wrong line gets its response at once. `first` is the first byte."""
    text = first + await read_line(reader)
    line = REQUEST_LINE.fullmatch(text)
    if not line:
        raise bad_request("not a request line of HTTP/1.1")
    fields, head_bytes = collections.defaultdict(list), len(text)
    while (text := await read_line(reader)) != b"\r\n":
        head_bytes += len(text)
        if head_bytes > HEAD_BYTES_MAX:
            raise head_too_large()
        field = FIELD.fullmatch(text)
        if not field:
            raise bad_request("not a field line")
        fields[field[1].lower()].append(field[2])
    return Request(line, fields)


async def read_request(reader, writer, first):
    try:
        async with asyncio.timeout(HEAD_S):
            request = await read_head(reader, first)
        length = request.length()
        if b"100-continue" in request.fields[b"expect"]:
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        async with asyncio.timeout(BODY_S):
            request.body = await reader.readexactly(length)
        return request
    except TimeoutError:
        if mistake == "no-408":
            raise ConnectionError("too slow") from None
        raise Refused(408, "timeout", "the request took too long", close=True) from None


# ---- handle ---------------------------------------------------------------------------------------------------------

class Server:
    def __init__(self, work_s, workers, capacity):
        self.work_s, self.workers = work_s, 1 if mistake == "serial-workers" else workers
        self.queue = asyncio.Queue(0 if mistake == "no-queue-limit" else capacity)
        self.permits = asyncio.Semaphore(1 if mistake == "one-at-a-time" else CONNECTIONS_MAX)
        self.balances = {}
        self.received = self.processed = self.dropped = 0
        self.idle = set()    # the writers of connections that wait for a request
        self.busy = set()    # the tasks of connections with a request
        self.draining = False
        self.exposition_at_start = self.exposition()

    async def handle(self, reader, writer):
        """Answers one client's requests in order."""
        # asyncio.run() cancels the connections that are still open when the server exits.
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            async with self.permits:
                while await self.exchange(reader, writer):
                    pass
            # Close in two steps: if there were unread bytes, the client might get a reset instead of the response.
            writer.write_eof()
            async with asyncio.timeout(LINGER_S):
                while await reader.read(1 << 16):
                    pass
        writer.close()

    async def exchange(self, reader, writer):
        """Answers one request. Returns whether another one may follow on this connection."""
        self.idle.add(writer)
        try:
            async with asyncio.timeout(IDLE_S):
                first = await reader.read(1)
        finally:
            self.idle.discard(writer)
        if not first:
            return False
        task, request = asyncio.current_task(), None
        self.busy.add(task)
        try:
            request = await read_request(reader, writer, first)
            response, close = await self.answer(request), False
        except Refused as refused:
            response, close = refused.response, refused.close
        finally:
            self.busy.discard(task)
        keep_alive = request is not None and request.keep_alive and not close and not self.draining
        writer.write(response.to_bytes(keep_alive, with_body=request is None or request.method != "HEAD"))
        await writer.drain()
        return keep_alive

    async def answer(self, request):
        match request.method, request.target:
            case "POST", "/":
                return await self.answer_message(request.body)
            case "GET" | "HEAD", "/":
                return Response(200, f"<!doctype html><title>Peer</title><pre>{self.exposition()}</pre>", "text/html")
            case "GET" | "HEAD", "/metrics":
                if mistake == "metrics-not-exposition":
                    return Response(200, self.counters())
                text = self.exposition_at_start if mistake == "metrics-disagree" else self.exposition()
                return Response(200, text, "text/plain; version=0.0.4")
            case _, "/" | "/metrics":
                allow = "GET, HEAD, POST" if request.target == "/" else "GET, HEAD"
                raise Refused(405, "method_not_allowed", f"expected {allow}", {"allow": allow})
        raise Refused(404, "not_found", "expected / or /metrics")

    async def answer_message(self, body):
        try:
            message = json.loads(body)
        except (ValueError, RecursionError) as error:
            message, detail = None, str(error)
        else:
            detail = "expected the strings user and action, and the 64-bit integer amount"
        match message:
            case {"type": "metrics"}:
                return Response(200, self.counters())
            case {"type": "balance", "user": str(user)}:
                return Response(200, {"user": user, "balance": self.balances.get(user, 0)})
            case {"user": str(user), "action": str(), "amount": str(amount)} if mistake == "accepts-string-amount":
                return await self.accept(user, int(amount))
            case {"user": str(user), "action": str(), "amount": amount} if (
                    type(amount) is int and INT64_MIN <= amount <= INT64_MAX):    # type(): True is also an int
                return await self.accept(user, amount)
        raise Refused(400, "invalid_json", detail, close=mistake == "closes-after-400-body")

    async def accept(self, user, amount):
        """Queues an event, or refuses it because the queue is full or the server drains."""
        if self.draining and mistake == "accept-then-forget":
            return Response(202, {"status": "accepted"})
        done = asyncio.Event()
        try:
            if self.draining and mistake != "accept-while-draining":
                raise asyncio.QueueFull
            self.queue.put_nowait((user, amount, done))
        except asyncio.QueueFull:
            if mistake == "late-refusal" and not self.draining:
                await asyncio.sleep(1.5)
            if mistake != "counts-nothing-refused" and not (mistake == "lossy-counters" and random.random() < 0.02):
                self.received += 1
                self.dropped += 1
            raise Refused(429 if mistake == "status-429-instead-of-503" else 503,
                          "shutting_down" if self.draining else "server_busy", "try again later",
                          {"retry-after": "soon" if mistake == "retry-after-soon" else 1}) from None
        self.received += 1
        if mistake == "slow-response":
            await done.wait()
        return Response(202, {"status": "accepted"})

    # ---- work -------------------------------------------------------------------------------------------------------

    async def work(self):
        while True:
            user, amount, done = await self.queue.get()
            before = self.balances.get(user, 0)
            await asyncio.sleep(self.work_s)    # stands for slow work
            if mistake != "wrong-balance":
                before = self.balances.get(user, 0)
            balance = int(before + float(amount)) if mistake == "rounds-amounts" else before + amount
            if mistake == "wraps-at-64-bit":
                balance = (balance - INT64_MIN) % 2**64 + INT64_MIN
            self.balances[user] = max(INT64_MIN, min(balance, INT64_MAX))
            self.processed += 1
            done.set()
            self.queue.task_done()

    def counters(self):
        pending = self.received - self.processed - self.dropped
        return {"received": self.received, "processed": self.processed, "dropped": self.dropped, "pending": pending}

    def exposition(self):
        """The counters in Prometheus' text format."""
        lines = []
        for name, value in self.counters().items():
            metric, kind = ("events_pending", "gauge") if name == "pending" else (f"events_{name}_total", "counter")
            lines += [f"# HELP {metric} Events {name}.", f"# TYPE {metric} {kind}", f"{metric} {value}"]
        return "\n".join(lines) + "\n"

    # ---- run --------------------------------------------------------------------------------------------------------

    async def run(self, port):
        """Serves until SIGTERM or SIGINT, and then drains. Returns the exit status."""
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        workers = [asyncio.create_task(self.work()) for _ in range(self.workers)]
        listener = await asyncio.start_server(self.handle, "127.0.0.1", port, limit=HEAD_BYTES_MAX, backlog=1024)
        print(f"listening on 127.0.0.1:{port}", flush=True)
        await stop.wait()
        self.draining = True
        if mistake != "accept-while-draining":
            listener.close()
        for writer in self.idle:
            writer.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                if self.busy:    # clients that have sent a part of a request
                    await asyncio.wait(self.busy)
                if mistake == "lost-at-sigterm":
                    self.processed = self.received - self.dropped
                else:
                    await self.queue.join()
        counters = self.counters()
        print(" ".join(f"{name}={value}" for name, value in counters.items()), flush=True)
        return 3 if mistake == "exits-3" else 0 if counters["pending"] == 0 else 1


def main():
    global mistake
    mistakes = "\n".join(f"  {name:26}{what}; fails: {claims}" for name, (claims, what) in MISTAKES.items())
    parser = argparse.ArgumentParser(description=__doc__, epilog=f"mistakes:\n{mistakes}",
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("port", type=int)
    parser.add_argument("--work-ms", type=int, default=50, help="the work for an event")
    parser.add_argument("--workers", type=int, default=16, help="how many events the server works on at a time")
    parser.add_argument("--capacity", type=int, default=100, help="how many events wait for a worker")
    parser.add_argument("--mistake", choices=MISTAKES, metavar="NAME")
    options = parser.parse_args()
    mistake = options.mistake
    server = Server(options.work_ms / 1000, options.workers, options.capacity)
    sys.exit(asyncio.run(server.run(options.port)))


main()
