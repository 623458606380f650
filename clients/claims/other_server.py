"""A server that is not part of the course, to test `check`: an echo on Python's own HTTP server."""

import http.server
import sys


class Echo(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


port, kind = sys.argv[1:]
server = http.server.ThreadingHTTPServer if kind == "threads" else http.server.HTTPServer
server.request_queue_size = 128  # with the default 5, clients of a frozen server take long to connect
server(("127.0.0.1", int(port)), Echo).serve_forever()
