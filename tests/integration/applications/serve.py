"""Serves the Django project of the working directory by four threads that stay, as a server in production does, and says
on which port."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

sys.path.insert(0, os.getcwd())

from django.core.wsgi import get_wsgi_application  # noqa: E402


class Server(ThreadingMixIn, WSGIServer):
    threads = ThreadPoolExecutor(4)

    def process_request(self, request, address):
        self.threads.submit(self.process_request_thread, request, address)


server = Server(("127.0.0.1", 0), WSGIRequestHandler)
server.set_app(get_wsgi_application())
print(server.server_port, flush=True)
server.serve_forever()
