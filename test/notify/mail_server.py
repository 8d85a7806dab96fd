#!/usr/bin/python3
# A counterpart for raxx-notify's tests: a real SMTP server (aiosmtpd), with STARTTLS or TLS, authentication and faults on demand.
#
#   mail_server.py --port-file FILE [--cert FILE --key FILE [--implicit]] [--user USER --password PASSWORD]
#
# serves on 127.0.0.1; two ports are in FILE once it does: SMTP, and HTTP for
#
#   /faults   POST: orders faults (faults.py); at: CONNECT, EHLO, MAIL, RCPT, DATA. DELETE: none any more
#   /random   POST: random faults
#   /mails    GET: what was taken, in order: from, to, source (as it came), at, authenticated, tls
#   /logins   GET: whether each attempt to log in was let in
#   /reset    POST: forgets everything
#
# Faults: reply (reply: "451 4.3.0 later"), drop (the connection, at that point; at DATA once the message has been read), hang. "taken":
# whether the message is taken all the same; the default for drop and hang at DATA.
import argparse
import asyncio
import json
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

from faults import Faults, as_json, write_port


class Box:
    def __init__(self):
        self.faults = Faults()
        self.reset()

    def reset(self):
        self.faults.clear()
        self.mails = []
        self.logins = []


class Handler:
    def __init__(self, box):
        self.box = box

    # What a fault makes of an answer.
    async def answer(self, server, at, usual):
        fault = self.box.faults.take(at)
        return usual if fault is None else await self.fail(server, fault)

    @staticmethod
    async def fail(server, fault):
        if fault["fault"] == "drop":
            server.transport.abort()
            return "421 dropped"
        if fault["fault"] == "hang":
            await asyncio.sleep(300)
            return "421 hung"
        return fault["reply"]

    async def handle_EHLO(self, server, session, envelope, hostname, responses):
        session.host_name = hostname
        fault = self.box.faults.take("EHLO")
        return responses if fault is None else [await self.fail(server, fault)]

    async def handle_MAIL(self, server, session, envelope, address, options):
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return await self.answer(server, "MAIL", "250 OK")

    async def handle_RCPT(self, server, session, envelope, address, options):
        envelope.rcpt_tos.append(address)
        return await self.answer(server, "RCPT", "250 OK")

    async def handle_DATA(self, server, session, envelope):
        fault = self.box.faults.take("DATA")
        if fault is None or fault.get("taken", fault["fault"] in ("drop", "hang")):
            self.box.mails.append({"from": envelope.mail_from, "to": envelope.rcpt_tos, "source": envelope.original_content.decode("latin-1"), "at": time.time(),
                                   "authenticated": session.authenticated, "tls": session.ssl is not None or server.transport.get_extra_info("sslcontext") is not None})
        return "250 OK taken" if fault is None else await self.fail(server, fault)


class Server(SMTP):
    box = None

    def connection_made(self, transport):
        super().connection_made(transport)
        fault = self.box.faults.take("CONNECT") if self.session.ssl is None else None
        if fault is not None:
            if fault["fault"] == "reply":
                transport.write((fault["reply"] + "\r\n").encode())
                transport.close()
            elif fault["fault"] == "drop":
                transport.abort()
            else:
                self._handler_coroutine.cancel()


class Control(BaseHTTPRequestHandler):
    def log_message(self, *arguments):
        pass

    def send(self, value):
        body = as_json(value)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        box = self.server.box
        self.send({"/mails": box.mails, "/logins": box.logins, "/used": box.faults.used}.get(self.path, []))

    def do_DELETE(self):
        self.server.box.faults.clear()
        self.send({})

    def do_POST(self):
        box = self.server.box
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        given = json.loads(body) if body else {}
        {"/faults": box.faults.order, "/random": box.faults.order_random, "/reset": lambda _: box.reset()}[self.path](given)
        self.send({})


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port-file", required=True)
    parser.add_argument("--cert")
    parser.add_argument("--key")
    parser.add_argument("--implicit", action="store_true")
    parser.add_argument("--user")
    parser.add_argument("--password")
    options = parser.parse_args()
    box = Box()

    def authenticate(server, session, envelope, mechanism, data):
        good = isinstance(data, LoginPassword) and data.login == options.user.encode() and data.password == options.password.encode()
        box.logins.append(good)
        return AuthResult(success=good, handled=False)

    context = None
    if options.cert:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.cert, options.key)
    arguments = {"hostname": "mail.example", "ident": "test", "data_size_limit": 50_000_000, "enable_SMTPUTF8": False}
    if context and not options.implicit:
        arguments.update(tls_context=context, require_starttls=True)
    if options.user:
        arguments.update(authenticator=authenticate, auth_required=True, auth_require_tls=bool(context) and not options.implicit)
    Server.box = box
    handler = Handler(box)

    async def serve():
        loop = asyncio.get_running_loop()
        smtp = await loop.create_server(lambda: Server(handler, loop=loop, **arguments), "127.0.0.1", 0, ssl=context if options.implicit else None)
        control = ThreadingHTTPServer(("127.0.0.1", 0), Control)
        control.daemon_threads = True
        control.box = box
        threading.Thread(target=control.serve_forever, daemon=True).start()
        write_port(options.port_file, [smtp.sockets[0].getsockname()[1], control.server_address[1]])
        await asyncio.Event().wait()

    # What goes wrong in a connection that was dropped on purpose is no news.
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda *_: None)
    loop.run_until_complete(serve())


main()
