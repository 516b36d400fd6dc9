import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

from slugs import slug


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        body = 'ok\n' if self.path in ('/healthz', '/readyz') else slug(unquote(self.path[1:])) + '\n'
        self.send_response(200)
        self.send_header('Content-Type', 'text/plain; charset=utf-8')
        self.end_headers()
        self.wfile.write(body.encode())


signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
ThreadingHTTPServer(('', 8080), Handler).serve_forever()
