"""A bucket on this machine: moto's server, and in front of it a proxy that keeps a log and does what faults say.

s3.faults("run01.nii.gz", cut(1000), status(503))      the next two GETs of such a key; then all is well again
"""

import contextlib
import http.client
import re
import socket
import threading
import time
from collections import defaultdict, deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEYS = {"aws_access_key_id": "key", "aws_secret_access_key": "secret"}
ERROR = "<?xml version='1.0'?><Error><Code>{}</Code><Message>as the test wishes</Message></Error>"
HOP = {"connection", "transfer-encoding", "content-length", "server", "date"}


@dataclass
class Answer:
    status: int
    headers: dict
    body: bytes
    announced: int | None = None  # Content-Length, where it is not the body's
    pause: float = 0.0  # before each quarter of the body
    cut: bool = False  # the connection ends without notice
    wait: float = 0.0  # before that
    chunked: bool = False  # without a Content-Length


@dataclass
class Request:
    method: str
    key: str
    range: str | None
    status: int
    sent: int = 0

    @property
    def start(self):
        return int(re.match(r"bytes=(\d+)-", self.range)[1]) if self.range else 0


# Faults: functions of an Answer


def status(number, code="SlowDown"):
    def fault(answer):
        body = ERROR.format(code).encode()
        answer.status, answer.headers, answer.body = number, {"Content-Type": "application/xml"}, body

    return fault


def cut(n):
    """The connection breaks after n bytes of the body."""

    def fault(answer):
        answer.announced, answer.body, answer.cut = len(answer.body), answer.body[:n], True

    return fault


def flip(at):
    """One bit is another."""

    def fault(answer):
        data = bytearray(answer.body)
        data[at] ^= 1
        answer.body = bytes(data)

    return fault


def replace(data):
    """Other bytes, of another length, under the same headers."""

    def fault(answer):
        answer.body = data

    return fault


def slow(seconds):
    def fault(answer):
        answer.pause = seconds / 4

    return fault


def stall(seconds):
    """Half of the body, then nothing for so long."""

    def fault(answer):
        answer.announced, half = len(answer.body), len(answer.body) // 2
        answer.body, answer.wait, answer.cut = answer.body[:half], seconds, True

    return fault


def chunked(answer):
    """As proxies send what they have changed, or do not know the length of."""
    answer.chunked = True


def also(*faults):
    def fault(answer):
        for one in faults:
            one(answer)

    return fault


def headers(**changed):
    def fault(answer):
        answer.headers |= {name.replace("_", "-"): value for name, value in changed.items()}

    return fault


def call(function):
    """Something that happens behind the client's back, before the bucket is asked; the answer is true."""
    function.before = True
    return function


@dataclass
class Server:
    moto: object
    client: object
    log: list = field(default_factory=list)
    plans: dict = field(default_factory=lambda: defaultdict(deque))
    lock: threading.Lock = field(default_factory=threading.Lock)
    part_sizes: dict = field(default_factory=dict)
    ignore_ranges: bool = False
    weak: bool = False  # ETags
    bucket: str = ""
    endpoint: str = ""

    def new_bucket(self, name):
        self.client.create_bucket(Bucket=name, ACL="public-read")
        self.use(name)

    def use(self, name):
        """This bucket from now on, with a new log and no faults."""
        self.bucket = name
        self.log.clear()
        self.plans.clear()
        self.part_sizes.clear()
        self.ignore_ranges = self.weak = False

    def put(self, key, data):
        self.client.put_object(Bucket=self.bucket, Key=key, Body=data, ACL="public-read")

    def put_parts(self, key, data, size):
        """As programs upload large files: in parts."""
        made = self.client.create_multipart_upload(Bucket=self.bucket, Key=key, ACL="public-read")
        where, parts = {"Bucket": self.bucket, "Key": key, "UploadId": made["UploadId"]}, []
        for number, at in enumerate(range(0, len(data), size), 1):
            done = self.client.upload_part(**where, PartNumber=number, Body=data[at : at + size])
            parts.append({"ETag": done["ETag"], "PartNumber": number})
        self.client.complete_multipart_upload(**where, MultipartUpload={"Parts": parts})

    def tree(self, root, prefix=""):
        for path in sorted(root.rglob("*")):
            if path.is_file():
                self.put(prefix + path.relative_to(root).as_posix(), path.read_bytes())

    def faults(self, ending, *plan):
        self.plans[ending] = deque(plan)

    def gets(self, ending=""):
        return [r for r in self.log if r.method == "GET" and r.key and r.key.endswith(ending)]

    def read(self):
        """Objects whose bytes were asked for."""
        return {request.key for request in self.gets()}

    def fault_for(self, key):
        with self.lock:
            for ending, plan in self.plans.items():
                if plan and key.endswith(ending):
                    return plan.popleft()
        return None


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_GET(self):
        self.serve()

    do_HEAD = do_GET

    def serve(self):
        server = self.server.own
        path, _, query = self.path.partition("?")
        key = path.removeprefix(f"/{server.bucket}").lstrip("/")
        fault = server.fault_for(key) if self.command == "GET" and key else None
        if getattr(fault, "before", False):
            fault = fault()
        answer = self.ask(server)
        if server.weak and "ETag" in answer.headers:
            answer.headers["ETag"] = "W/" + answer.headers["ETag"]
        if fault:
            fault(answer)
        wanted = self.headers.get("Range")
        entry = Request(self.command, key if key or not query else "", wanted, answer.status)
        server.log.append(entry)
        with contextlib.suppress(OSError):
            self.reply(answer, entry)

    def ask(self, server):
        """What moto says."""
        given = {name: value for name, value in self.headers.items() if name.lower() not in HOP}
        if server.ignore_ranges:
            given.pop("Range", None)
        connection = http.client.HTTPConnection("127.0.0.1", self.server.behind)
        try:
            path, part = self.path, re.search(r"partNumber=(\d+)", self.path)
            sizes = server.part_sizes.get(path.partition("?")[0].rpartition("/")[2])
            if part and sizes:  # moto answers otherwise than S3
                path = path.partition("?")[0]
            connection.request(self.command, path, headers=given)
            got = connection.getresponse()
            kept = {name: value for name, value in got.getheaders() if name.lower() not in HOP}
            announced = got.getheader("Content-Length") if self.command == "HEAD" else None
            if part and sizes:
                announced = str(sizes[int(part[1]) - 1])
            return Answer(got.status, kept, got.read(), int(announced) if announced else None)
        finally:
            connection.close()

    def reply(self, answer, entry):
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        announced = len(answer.body) if answer.announced is None else answer.announced
        if answer.chunked:
            self.send_header("Transfer-Encoding", "chunked")
            answer.body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(answer.body), answer.body)
        else:
            self.send_header("Content-Length", str(announced))
        self.end_headers()
        step = -(-len(answer.body) // 4) or 1
        for at in range(0, len(answer.body), step):
            time.sleep(answer.pause)
            self.wfile.write(answer.body[at : at + step])
            entry.sent += len(answer.body[at : at + step])
        if answer.cut:
            time.sleep(answer.wait)
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def serving():
    """A Server; its `endpoint` is the proxy's."""
    import boto3
    from moto.server import ThreadedMotoServer

    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    behind = moto.get_host_and_port()[1]
    client = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{behind}", region_name="us-east-1", **KEYS)
    proxy = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    proxy.daemon_threads = True
    proxy.behind, proxy.own = behind, Server(moto, client)
    proxy.own.endpoint = f"http://127.0.0.1:{proxy.server_address[1]}"
    thread = threading.Thread(target=proxy.serve_forever, daemon=True)
    thread.start()
    try:
        yield proxy.own
    finally:
        proxy.shutdown()
        proxy.server_close()
        moto.stop()
