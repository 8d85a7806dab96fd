#!/usr/bin/python3
# A counterpart for raxx-notify's tests: behaves as Slack's documented API does, and as a webhook; with faults on demand.
#
#   slack_server.py --port-file FILE --token TOKEN [--cert FILE --key FILE]     serves on 127.0.0.1; the port is in FILE once it does
#
#   /api/METHOD          chat.postMessage, auth.test, conversations.history, conversations.replies
#   /services/NAME       an incoming webhook of Slack
#   /hook/NAME           a webhook of anybody; a repeated Idempotency-Key is answered, but not taken again
#   /control/faults      POST: orders faults (faults.py); at: chat.postMessage, ..., services, hook. DELETE: none any more
#   /control/random      POST: random faults
#   /control/options     POST: {"token", "no_scope", "archived": [channels], "rate_limited"}
#   /control/messages    GET: what was posted by the API and by incoming webhooks, in order
#   /control/hooks       GET: what was posted to webhooks; /control/repeats: what came again
#   /control/requests    GET: every request, with the fault that it met
#   /control/release     POST: lets go what a fault "hold" holds
#   /control/reset       POST: forgets everything but the token
#
# Faults: 429 and 503 (retry_after: seconds, or "date:SECONDS" for an HTTP date), any other status, error (name), malformed, huge, slow, hang, hold (until it
# is released, and then answered as usual), reset (once the request has been read), early_reset (before), redirect (to). "taken": whether the message is posted all the same, which is the default where the
# counterpart of a real fault could have: malformed, huge, slow, hang, hold, reset.
import argparse
import email.utils
import json
import re
import socket
import ssl
import struct
import sys
import threading
import time
import traceback
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from faults import Faults, as_json, write_port

TAKEN = {"malformed", "huge", "slow", "hang", "hold", "reset"}


class Slack:
    def __init__(self, token):
        self.lock = threading.Lock()
        self.token = token
        self.faults = Faults()
        self.ending = threading.Event()
        self.released = threading.Event()
        self.reset()

    def reset(self):
        with self.lock:
            self.faults.clear()
            self.options = {}
            self.messages = []
            self.hooks = []
            self.repeats = []
            self.requests = []
            self.released.clear()
            self.last_ts = 0
            self.last_post = {}

    def new_ts(self):
        self.last_ts = max(self.last_ts + 1, int(time.time() * 1_000_000))
        return f"{self.last_ts // 1_000_000}.{self.last_ts % 1_000_000:06d}"

    # ---- the API's methods: each returns (status, headers, answer) -------------------------------------------------

    def post_message(self, arguments):
        channel = arguments.get("channel", "")
        if not re.fullmatch(r"[CGD][A-Z0-9]{6,20}", str(channel)):
            return self.failure("channel_not_found")
        if channel in self.options.get("archived", []):
            return self.failure("is_archived")
        wrong = self.wrong_content(arguments)
        if wrong:
            return self.failure(wrong)
        if self.options.get("rate_limited"):
            wait = self.last_post.get(channel, 0) + 1 - time.monotonic()
            if wait > 0:
                return 429, {"Retry-After": "1"}, {"ok": False, "error": "ratelimited"}
        self.last_post[channel] = time.monotonic()
        message = {"channel": channel, "ts": self.new_ts(), "at": time.time(), "by": "api", "type": "message"}
        message.update({k: arguments[k] for k in ("text", "blocks", "thread_ts", "reply_broadcast", "metadata") if k in arguments})
        self.messages.append(message)
        return 200, {}, {"ok": True, "channel": channel, "ts": message["ts"], "message": {"text": message.get("text"), "ts": message["ts"]}}

    @staticmethod
    def wrong_content(arguments):
        blocks = arguments.get("blocks", [])
        text = arguments.get("text", "")
        if not text and not blocks:
            return "no_text"
        if len(text) > 40000:
            return "msg_too_long"
        if not isinstance(blocks, list) or len(blocks) > 50:
            return "invalid_blocks"
        for block in blocks:
            if not isinstance(block, dict):
                return "invalid_blocks"
            content = block.get("text", {})
            length = len(content.get("text", "")) if isinstance(content, dict) else 0
            if not block.get("type") or length > (150 if block["type"] == "header" else 3000):
                return "invalid_blocks"
        metadata = arguments.get("metadata")
        if metadata is not None and not (isinstance(metadata, dict) and metadata.get("event_type") and isinstance(metadata.get("event_payload"), dict)):
            return "invalid_metadata_format"
        return None

    def history(self, arguments, thread):
        if self.options.get("no_scope"):
            return 200, {}, {"ok": False, "error": "missing_scope", "needed": "channels:history", "provided": "chat:write"}
        found = [m for m in self.messages if m["channel"] == arguments.get("channel") and float(m["ts"]) >= float(arguments.get("oldest", 0))]
        if thread:
            found = [m for m in found if arguments.get("ts") in (m["ts"], m.get("thread_ts"))]
            if not found:
                return self.failure("thread_not_found")
        else:
            found = [m for m in found if "thread_ts" not in m or m.get("reply_broadcast")][::-1]
        limit = min(int(arguments.get("limit", 100)), 999)
        begin = int(arguments.get("cursor") or 0)
        page = [{k: v for k, v in m.items() if k not in ("at", "by") and (k != "metadata" or arguments.get("include_all_metadata") == "true")}
                for m in found[begin : begin + limit]]
        more = len(found) > begin + limit
        return 200, {}, {"ok": True, "messages": page, "has_more": more, "response_metadata": {"next_cursor": str(begin + limit) if more else ""}}

    @staticmethod
    def failure(error):
        return 200, {}, {"ok": False, "error": error}

    def call(self, method, arguments, authorization):
        if authorization != f"Bearer {self.token}":
            return self.failure("invalid_auth" if authorization else "not_authed")
        if method == "chat.postMessage":
            return self.post_message(arguments)
        if method == "auth.test":
            return 200, {}, {"ok": True, "url": "https://example.slack.com/", "team": "Example", "user": "raxx", "team_id": "T1", "user_id": "U1"}
        if method in ("conversations.history", "conversations.replies"):
            return self.history(arguments, method.endswith("replies"))
        return self.failure("unknown_method")

    def incoming(self, name, body):
        try:
            arguments = json.loads(body)
        except ValueError:
            return 400, {}, b"invalid_payload"
        if self.wrong_content(arguments):
            return 400, {}, self.wrong_content(arguments).encode()
        self.messages.append({"channel": "hook:" + name, "ts": self.new_ts(), "at": time.time(), "by": "hook", "text": arguments.get("text"), "blocks": arguments.get("blocks")})
        return 200, {}, b"ok"

    def hook(self, name, headers, body):
        key = headers.get("Idempotency-Key")
        repeat = any(h["key"] == key and h["name"] == name for h in self.hooks)
        (self.repeats if repeat else self.hooks).append({"name": name, "key": key, "at": time.time(), "headers": dict(headers), "body": body.decode()})
        return 200, {}, as_json({"repeat": repeat})


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def do_GET(self):
        self.answer_request(b"")

    def do_DELETE(self):
        self.answer_request(b"")

    def do_POST(self):
        self.answer_request(None)

    def answer_request(self, body):
        self.close_connection = True
        slack = self.server.slack
        url = urllib.parse.urlsplit(self.path)
        parts = url.path.strip("/").split("/", 1)
        place = {"api": parts[-1], "services": "services", "hook": "hook"}.get(parts[0])
        fault = slack.faults.take(place) if place else None
        if fault and fault["fault"] == "early_reset":
            self.note(place, fault, None)
            return self.reset()
        if body is None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if parts[0] == "control":
            return self.control(parts[-1], body)
        taken = not fault or fault.get("taken", fault["fault"] in TAKEN)
        with slack.lock:
            answer = self.route(parts, url.query, body) if taken else None
        self.note(place, fault, answer)
        return self.fail(fault, answer) if fault else self.reply(*answer)

    def route(self, parts, query, body):
        slack = self.server.slack
        if parts[0] == "api":
            arguments = dict(urllib.parse.parse_qsl(query))
            if body:
                if self.headers.get("Content-Type", "").startswith("application/json"):
                    try:
                        arguments.update(json.loads(body))
                    except ValueError:
                        return Slack.failure("invalid_json")
                else:
                    arguments.update(urllib.parse.parse_qsl(body.decode()))
            return slack.call(parts[-1], arguments, self.headers.get("Authorization"))
        if self.command != "POST":
            return 405, {}, b"POST it"
        if parts[0] == "services":
            return slack.incoming(parts[-1], body)
        if parts[0] == "hook":
            return slack.hook(parts[-1], self.headers, body)
        return 404, {}, b"not found"

    def note(self, place, fault, answer):
        status = answer[0] if answer else None
        error = answer[2].get("error") if answer and isinstance(answer[2], dict) else None
        self.server.slack.requests.append({"at": time.time(), "place": place, "method": self.command, "fault": fault and fault["fault"], "status": status, "error": error})

    # ---- answers ----------------------------------------------------------------------------------------------------

    def reply(self, status, headers, content):
        body = content if isinstance(content, bytes) else as_json(content)
        try:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Type", "application/json; charset=utf-8" if not isinstance(content, bytes) else "text/plain")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body)
        except OSError:
            pass  # it did not wait

    # The counterpart sees a connection reset, and not an end.
    def reset(self):
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # The last descriptor of the socket has to go for it to be sent.
        self.rfile.close()
        self.wfile.close()
        self.connection.close()

    def fail(self, fault, answer):
        name = str(fault["fault"])
        if name.isdigit():
            headers = {}
            wait = fault.get("retry_after")
            if wait is not None:
                headers["Retry-After"] = email.utils.formatdate(time.time() + int(wait[5:]), usegmt=True) if str(wait).startswith("date:") else str(wait)
            return self.reply(int(name), headers, {"ok": False, "error": "ratelimited"} if name == "429" else b"no")
        if name == "error":
            return self.reply(200, {}, {"ok": False, "error": fault["name"]})
        if name == "redirect":
            return self.reply(302, {"Location": fault["to"]}, b"")
        if name == "malformed":
            return self.reply(200, {}, b'{"ok": tru')
        if name == "huge":
            return self.reply(200, {}, b'{"ok": true, "x": "' + b"x" * 10_000_000 + b'"}')
        if name == "reset":
            return self.reset()
        return self.dawdle(name, answer)

    def dawdle(self, name, answer):
        try:
            if name == "slow":
                body = as_json(answer[2] if answer else {"ok": True})
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                for byte in body:
                    self.wfile.write(bytes([byte]))
                    self.wfile.flush()
                    if self.server.slack.ending.wait(0.5):
                        return None
            elif name == "hold":
                self.server.slack.released.wait(300)
                return self.reply(*answer)
            else:
                self.server.slack.ending.wait(300)
        except OSError:
            pass
        return None

    # ---- what tests ask and order ------------------------------------------------------------------------------------

    def control(self, what, body):
        slack = self.server.slack
        if self.command == "POST":
            given = json.loads(body) if body else {}
            if what == "faults":
                slack.faults.order(given)
            elif what == "random":
                slack.faults.order_random(given)
            elif what == "options":
                with slack.lock:
                    slack.token = given.get("token", slack.token)
                    slack.options.update(given)
            elif what == "release":
                slack.released.set()
            elif what == "reset":
                slack.reset()
            return self.reply(200, {}, {"ok": True})
        if self.command == "DELETE":
            slack.faults.clear()
            return self.reply(200, {}, {"ok": True})
        with slack.lock:
            return self.reply(200, {}, {"messages": slack.messages, "hooks": slack.hooks, "repeats": slack.repeats, "requests": slack.requests, "faults": slack.faults.used}.get(what, []))


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    # Connections that were reset on purpose are no news; a mistake in here is.
    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], (OSError, ValueError)):
            traceback.print_exc()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port-file", required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--token", required=True)
    parser.add_argument("--cert")
    parser.add_argument("--key")
    options = parser.parse_args()
    server = Server(("127.0.0.1", options.port), Handler)
    server.slack = Slack(options.token)
    if options.cert:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.cert, options.key)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    write_port(options.port_file, [server.server_address[1]])
    server.serve_forever()


main()
