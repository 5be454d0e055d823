"""Stand-ins for what Google gives a deployment besides Firestore: metadata server and IAM, a
bucket (the part of the XML API that filmlab uses), and Cloud Tasks.

They check no signatures: the tests in tests/it/gcp do. What matters here is that they keep what
they were given, whatever becomes of the workers.
"""

import base64
import calendar
import concurrent.futures
import email.utils
import http.client
import http.server
import json
import re
import threading
import time
import urllib.parse

BUCKET = "bucket"
QUEUE = "projects/demo/locations/here/queues/jobs"
# A task is delivered by one of these; a delivery lasts as long as the visit.
DELIVERIES = 48
# As deploy.md sets the queue: from one second up to a minute.
LONGEST_PAUSE = 60


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def body(self):
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            whole = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                whole += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return whole
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def answer(self, status, body=b"", headers=()):
        body = body.encode() if isinstance(body, str) else body
        self.send_response(status)
        names = {name.lower() for name, _ in headers}
        for name, value in headers:
            self.send_header(name, value)
        if "content-length" not in names:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def act(self):
        try:
            self.handle_call()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = act


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, *_):
        pass


def serve(handler, **state):
    server = Server(("127.0.0.1", 0), type("Bound", (handler,), state))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return "127.0.0.1:%d" % server.server_address[1]


class Identity(Handler):
    """Metadata server and IAM."""

    def handle_call(self):
        self.body()
        path = self.path.partition("?")[0]
        if path.endswith("/token"):
            token = {"access_token": "token", "expires_in": 3600, "token_type": "Bearer"}
            return self.answer(200, json.dumps(token))
        if path.endswith("/email"):
            return self.answer(200, "worker@demo.iam.gserviceaccount.com")
        if path.endswith(":signBlob"):
            signed = {"keyId": "1", "signedBlob": base64.b64encode(b"signed").decode()}
            return self.answer(200, json.dumps(signed))
        return self.answer(404)


class Bucket:
    def __init__(self):
        self.lock = threading.Lock()
        self.objects = {}
        self.uploads = {}
        self.made = 0
        self.address = serve(BucketHandler, bucket=self)

    def store(self, name, data, kind):
        self.made += 1
        self.objects[name] = (data, self.made, time.time(), kind)
        return self.made


class BucketHandler(Handler):
    def handle_call(self):
        body = self.body()
        path, _, query = self.path.partition("?")
        query = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
        bucket, _, name = urllib.parse.unquote(path)[1:].partition("/")
        if bucket != BUCKET:
            return self.answer(404, "<Error><Code>NoSuchBucket</Code></Error>")
        with self.bucket.lock:
            answer = self.act_on(self.bucket, name, query, body)
        return self.answer(*answer)

    def act_on(self, bucket, name, query, body):
        kind = self.headers.get("Content-Type", "application/octet-stream")
        missing = (404, "<Error><Code>NoSuchKey</Code></Error>")
        upload = query.get("uploadId")
        if self.command == "POST" and "uploads" in query:
            bucket.made += 1
            upload = f"upload-{bucket.made}"
            bucket.uploads[upload] = (name, {}, kind)
            return 200, (f"<InitiateMultipartUploadResult><UploadId>{upload}</UploadId>"
                         "</InitiateMultipartUploadResult>")
        if upload is not None and upload not in bucket.uploads:
            return 404, "<Error><Code>NoSuchUpload</Code></Error>"
        if self.command == "PUT" and upload is not None:
            number = int(query["partNumber"])
            bucket.uploads[upload][1][number] = body
            return 200, "", [("ETag", f'"part-{number}"')]
        if self.command == "POST":
            _, parts, kind = bucket.uploads.pop(upload)
            numbers = re.findall(rb"<PartNumber>(\d+)<", body)
            whole = b"".join(parts[int(number)] for number in numbers)
            generation = bucket.store(name, whole, kind)
            return 200, (f'<CompleteMultipartUploadResult><ETag>"{generation}"</ETag>'
                         "</CompleteMultipartUploadResult>"), \
                [("x-goog-generation", str(generation))]
        if self.command == "DELETE" and upload is not None:
            del bucket.uploads[upload]
            return 204, ""
        if self.command == "PUT":
            wanted = self.headers.get("x-goog-if-generation-match")
            current = bucket.objects.get(name, (None, 0))[1]
            if wanted is not None and wanted != str(current):
                return 412, "<Error><Code>PreconditionFailed</Code></Error>"
            bucket.store(name, body, kind)
            return 200, "", self.described(bucket.objects[name])
        if self.command == "DELETE":
            return (204, "") if bucket.objects.pop(name, None) else missing
        if not name:
            return 200, self.listed(bucket, query.get("prefix", ""))
        if name not in bucket.objects:
            return missing
        return self.read(bucket.objects[name])

    @staticmethod
    def described(item):
        _, generation, at, _ = item
        return [("ETag", f'"{generation}"'), ("x-goog-generation", str(generation)),
                ("Last-Modified", email.utils.formatdate(at, usegmt=True))]

    @staticmethod
    def listed(bucket, prefix):
        rows = []
        for name, (data, generation, at, _) in sorted(bucket.objects.items()):
            if name.startswith(prefix):
                shown = name.replace("&", "&amp;").replace("<", "&lt;")
                when = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(at))
                rows.append(f"<Contents><Key>{shown}</Key><Size>{len(data)}</Size>"
                            f"<LastModified>{when}</LastModified><ETag>\"{generation}\"</ETag>"
                            "</Contents>")
        return f"<ListBucketResult>{''.join(rows)}</ListBucketResult>"

    def read(self, item):
        data, generation, _, kind = item
        headers = self.described(item) + [("Content-Type", kind)]
        tag = self.headers.get("If-Match")
        if tag is not None and tag != f'"{generation}"':
            return 412, ""
        status, size = 200, len(data)
        if (asked := self.headers.get("Range", "")).startswith("bytes="):
            first, last = asked[6:].split("-")
            if not first:
                start, end = max(0, size - int(last)), size
            else:
                start, end = int(first), min(int(last) + 1, size) if last else size
            if start >= size:
                return 416, "", [("Content-Range", f"bytes */{size}")]
            data, status = data[start:end], 206
            headers.append(("Content-Range", f"bytes {start}-{end - 1}/{size}"))
        headers.append(("Content-Length", str(len(data))))
        return status, data, headers


class CloudTasks:
    """Names once, reserved after the task's end; pauses that grow; deliveries at least once."""

    def __init__(self):
        self.lock = threading.Lock()
        self.tasks = {}
        self.reserved = set()
        self.address = serve(TasksHandler, queue=self)
        self.pool = concurrent.futures.ThreadPoolExecutor(DELIVERIES)
        threading.Thread(target=self.dispatch, daemon=True).start()

    def create(self, task):
        name = task["name"].removeprefix(f"{QUEUE}/tasks/")
        with self.lock:
            if name in self.reserved or name in self.tasks:
                return False
            self.tasks[name] = {"wire": task["httpRequest"], "due": when(task.get("scheduleTime")),
                                "retries": 0, "running": False, "answered": None}
            return True

    def dispatch(self):
        while True:
            time.sleep(0.03)
            now = time.time()
            with self.lock:
                due = [(name, task) for name, task in self.tasks.items()
                       if task["due"] <= now and not task["running"]]
                for _, task in due:
                    task["running"] = True
            for name, task in sorted(due, key=lambda item: item[1]["due"]):
                self.pool.submit(self.deliver, name, task)

    def deliver(self, name, task):
        status = None
        wire = task["wire"]
        url = urllib.parse.urlsplit(wire["url"])
        headers = dict(wire.get("headers", {}))
        headers |= {"X-CloudTasks-QueueName": "jobs", "X-CloudTasks-TaskName": name,
                    "X-CloudTasks-TaskRetryCount": str(task["retries"]),
                    "X-CloudTasks-TaskExecutionCount": str(task["retries"])}
        if task["answered"]:
            headers["X-CloudTasks-TaskPreviousResponse"] = str(task["answered"])
        connection = http.client.HTTPConnection(url.netloc, timeout=300)
        try:
            connection.request("POST", url.path, base64.b64decode(wire.get("body", "")), headers)
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()
        with self.lock:
            if status is not None and 200 <= status < 300:
                self.reserved.add(name)
                self.tasks.pop(name, None)
            else:
                task["retries"] += 1
                task["answered"] = status
                task["due"] = time.time() + min(LONGEST_PAUSE, 2 ** min(task["retries"] - 1, 6))
                task["running"] = False


def when(text):
    if text is None:
        return 0
    seconds, _, fraction = text.rstrip("Z").partition(".")
    at = time.strptime(seconds, "%Y-%m-%dT%H:%M:%S")
    return calendar.timegm(at) + float(f"0.{fraction or 0}")


class TasksHandler(Handler):
    def handle_call(self):
        body = self.body()
        if self.command != "POST" or not self.path.endswith("/tasks"):
            return self.answer(403, json.dumps({"error": {"code": 403, "message": "no"}}))
        task = json.loads(body)["task"]
        if not self.queue.create(task):
            error = {"code": 409, "status": "ALREADY_EXISTS", "message": "exists"}
            return self.answer(409, json.dumps({"error": error}))
        return self.answer(200, json.dumps(task), [("Content-Type", "application/json")])
